// One 7B-shaped decoder block (hidden 4096, intermediate 11008, 32 heads) in bf16 compute beside
// the plain matrix products of the same shapes.
//   pare_bench_block [threads] [rounds] [tokens]   prints tokens/s and the share of the plain rate
//   pare_bench_block serve [threads] [tokens]      runs the block once for every line on stdin and
//                                                  answers with its seconds, for interleaving
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "timing.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

namespace pare::bench {
namespace {

using kernels::Compute;
using kernels::PackedInput;
using kernels::PackedWeight;

constexpr std::int64_t kHidden = 4096;
constexpr std::int64_t kInner = 11008;
constexpr std::int64_t kHeads = 32;
constexpr std::int64_t kWidth = kHidden / kHeads;
constexpr float kEps = 1e-5F;

PackedWeight made_up_weight(const Context& ctx, std::int64_t out, std::int64_t in,
                            std::uint64_t seed) {
  Matrix w(out, in);
  fill(w, seed, 1 / std::sqrt(static_cast<float>(in)));
  return PackedWeight(ctx, w.view(), Compute::bf16);
}

class Block {
 public:
  Block(const Context& ctx, std::int64_t tokens)
      : ctx_(ctx),
        q_w_(made_up_weight(ctx, kHidden, kHidden, 1)),
        k_w_(made_up_weight(ctx, kHidden, kHidden, 2)),
        v_w_(made_up_weight(ctx, kHidden, kHidden, 3)),
        o_w_(made_up_weight(ctx, kHidden, kHidden, 4)),
        gate_w_(made_up_weight(ctx, kInner, kHidden, 5)),
        up_w_(made_up_weight(ctx, kInner, kHidden, 6)),
        down_w_(made_up_weight(ctx, kHidden, kInner, 7)),
        norm_(static_cast<std::size_t>(kHidden), 1.0F),
        start_(tokens, kHidden),
        x_(tokens, kHidden),
        normed_(tokens, kHidden),
        q_(tokens, kHidden),
        k_(tokens, kHidden),
        v_(tokens, kHidden),
        mixed_(tokens, kHidden),
        gate_(tokens, kInner),
        up_(tokens, kInner),
        cos_(tokens, kWidth / 2),
        sin_(tokens, kWidth / 2) {
    fill(start_, 8);
    fill(gate_, 9);
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t i = 0; i < kWidth / 2; ++i) {
        const double angle =
            static_cast<double>(t) * std::pow(1e4, -2.0 * static_cast<double>(i) / kWidth);
        cos_.view().row(t)[i] = static_cast<float>(std::cos(angle));
        sin_.view().row(t)[i] = static_cast<float>(std::sin(angle));
      }
    }
  }

  std::int64_t tokens() const noexcept { return x_.rows(); }

  void forward() {
    x_.values() = start_.values();
    kernels::rms_norm(ctx_, x_.view(), norm_, kEps, normed_.view());
    packed_.pack(ctx_, normed_.view(), q_w_);
    matmul(ctx_, packed_, q_w_, q_.view());
    matmul(ctx_, packed_, k_w_, k_.view());
    matmul(ctx_, packed_, v_w_, v_.view());
    kernels::rope_half(ctx_, q_.view(), kWidth, cos_.view(), sin_.view());
    kernels::rope_half(ctx_, k_.view(), kWidth, cos_.view(), sin_.view());
    attend();
    matmul_add(ctx_, mixed_.view(), o_w_, x_.view());
    kernels::rms_norm(ctx_, x_.view(), norm_, kEps, normed_.view());
    packed_.pack(ctx_, normed_.view(), gate_w_);
    matmul(ctx_, packed_, gate_w_, gate_.view());
    matmul(ctx_, packed_, up_w_, up_.view());
    kernels::silu_mul(ctx_, gate_.view(), up_.view());
    matmul_add(ctx_, gate_.view(), down_w_, x_.view());
  }

  void attend() {
    const kernels::AttentionShape shape{kHeads, kHeads, kWidth, 0, 1 / std::sqrt(128.0F)};
    attention(ctx_, shape, q_.view(), k_.view(), v_.view(), mixed_.view(), Compute::bf16);
  }

  /// The seven products alone, each from plain f32 activations.
  void plain_products() {
    for (const PackedWeight* w : {&q_w_, &k_w_, &v_w_, &o_w_}) {
      matmul(ctx_, start_.view(), *w, q_.view());
    }
    matmul(ctx_, start_.view(), gate_w_, up_.view());
    matmul(ctx_, start_.view(), up_w_, up_.view());
    matmul(ctx_, gate_.view(), down_w_, q_.view());
  }

  void elementwise() {
    for (int i = 0; i < 2; ++i)
      kernels::rms_norm(ctx_, start_.view(), norm_, kEps, normed_.view());
    kernels::rope_half(ctx_, q_.view(), kWidth, cos_.view(), sin_.view());
    kernels::rope_half(ctx_, k_.view(), kWidth, cos_.view(), sin_.view());
    kernels::silu_mul(ctx_, gate_.view(), up_.view());
  }

 private:
  const Context& ctx_;
  PackedWeight q_w_, k_w_, v_w_, o_w_, gate_w_, up_w_, down_w_;
  std::vector<float> norm_;
  Matrix start_, x_, normed_, q_, k_, v_, mixed_, gate_, up_, cos_, sin_;
  PackedInput packed_;
};

double product_work(std::int64_t tokens) {
  return 2.0 * static_cast<double>(tokens) *
         static_cast<double>(4 * kHidden * kHidden + 3 * kHidden * kInner);
}

int measure(const Context& ctx, int rounds, std::int64_t tokens) {
  Block block(ctx, tokens);
  std::vector<Side> sides = {{"block", [&] { block.forward(); }},
                             {"plain products", [&] { block.plain_products(); }},
                             {"attention", [&] { block.attend(); }},
                             {"norms, rope, silu", [&] { block.elementwise(); }}};
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
  Block block(ctx, tokens);
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
