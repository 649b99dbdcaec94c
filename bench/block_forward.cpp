// One 7B-shaped decoder block (hidden 4096, intermediate 11008, 32 heads) in bf16 compute beside
// the plain matrix products of the same shapes.
//   pare_bench_block [threads] [rounds] [tokens]   prints tokens/s and the share of the plain rate
//   pare_bench_block serve [threads] [tokens]      runs the block once for every line on stdin and
//                                                  answers with its seconds, for interleaving
#include "kernels/gemm.h"
#include "model/block.h"
#include "model/llama_shape.h"
#include "timing.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

namespace pare::bench {
namespace {

using kernels::Compute;

constexpr std::int64_t kHidden = 4096;
constexpr std::int64_t kInner = 11008;

model::ModelConfig config_7b() {
  model::ModelConfig config;
  config.hidden_size = kHidden;
  config.intermediate_size = kInner;
  config.layers = 1;
  config.max_positions = 4096;
  config.rms_norm_eps = 1e-5F;
  config.attention = {.heads = 32, .kv_heads = 32, .head_dim = 128};
  config.windows = {0};
  return config;
}

/// The block that calibration and evaluation run, with made-up weights.
class Bench {
 public:
  Bench(const Context& ctx, std::int64_t tokens)
      : ctx_(ctx), graph_(model::llama_graph(config_7b())), start_(tokens, kHidden), wide_(tokens, kInner),
        narrow_out_(tokens, kHidden), wide_out_(tokens, kInner) {
    fill(start_, 8);
    fill(wide_, 9);
    std::uint64_t seed = 1;
    for (const model::Module& module : graph_.block(0)) {
      if (module.kind != model::ModuleKind::linear) {
        block_.norms[*module.role].weight.assign(static_cast<std::size_t>(kHidden), 1.0F);
        continue;
      }
      Matrix w(module.out(), module.in());
      fill(w, seed++, 1 / std::sqrt(static_cast<float>(module.in())));
      block_.linears[{*module.role, module.expert}].weight =
          kernels::PackedWeight(ctx, std::as_const(w).view(), Compute::bf16);
    }
    batch_.lengths = {tokens};
  }

  void forward() {
    batch_.hidden = start_;
    model::forward_block(ctx_, graph_.config, block_, batch_, {.compute = Compute::bf16}, workspace_);
  }

  /// The seven products alone, each from plain f32 activations.
  void plain_products() {
    for (const auto& [role, linear] : block_.linears) {
      const kernels::PackedWeight& w = linear.weight;
      const Matrix& x = w.in() == kHidden ? start_ : wide_;
      Matrix& y = w.out() == kHidden ? narrow_out_ : wide_out_;
      kernels::matmul(ctx_, x.view(), w, y.view());
    }
  }

 private:
  const Context& ctx_;
  model::ModelGraph graph_;
  model::Block block_;
  model::Batch batch_;
  model::Workspace workspace_;
  Matrix start_, wide_, narrow_out_, wide_out_;
};

double product_work(std::int64_t tokens) {
  return 2.0 * static_cast<double>(tokens) *
         static_cast<double>(4 * kHidden * kHidden + 3 * kHidden * kInner);
}

int measure(const Context& ctx, int rounds, std::int64_t tokens) {
  Bench block(ctx, tokens);
  std::vector<Side> sides = {{"block", [&] { block.forward(); }},
                             {"plain products", [&] { block.plain_products(); }}};
  interleave(sides, rounds);
  std::printf("%s, %d threads, %s; %lld tokens, median of %d interleaved rounds\n",
              cpu_name().c_str(), ctx.threads(),
              std::string(kernels::isa_name(kernels::current_isa())).c_str(),
              static_cast<long long>(tokens), rounds);
  for (const Side& side : sides) {
    const auto [min, max] = std::minmax_element(side.seconds.begin(), side.seconds.end());
    std::printf("  %-18s %8.1f ms  (%.1f .. %.1f)\n", side.name.c_str(), median(side.seconds) * 1e3,
                *min * 1e3, *max * 1e3);
  }
  std::printf("  plain products     %8.1f GFLOP/s\n",
              product_work(tokens) / median(sides[1].seconds) * 1e-9);
  std::printf("  block              %8.1f tokens/s\n",
              static_cast<double>(tokens) / median(sides[0].seconds));
  std::printf("  block rate / plain product rate: %.2f (target >= 0.70)\n",
              ratio(sides[1], sides[0]));
  return 0;
}

int serve(const Context& ctx, std::int64_t tokens) {
  Bench block(ctx, tokens);
  block.forward();
  std::printf("ready %s %s\n", cpu_name().c_str(),
              std::string(kernels::isa_name(kernels::current_isa())).c_str());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::printf("%.6f\n", seconds_of([&] { block.forward(); }));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace pare::bench

int main(int argc, char** argv) {
  const auto number = [&](int at, int otherwise) {
    return argc > at ? std::atoi(argv[at]) : otherwise;
  };
  const bool serving = argc > 1 && std::string(argv[1]) == "serve";
  const pare::Context ctx(number(serving ? 2 : 1, 0));
  if (serving) return pare::bench::serve(ctx, number(3, 2048));
  return pare::bench::measure(ctx, number(2, 5), number(3, 2048));
}
