// Attention of a 7B-shaped block beside the matrix product of the same block's shapes.
// Usage: pare_bench_attention [threads] [rounds]
#include "kernels/attention.h"

#include "../timing.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace pare::bench {
namespace {

using kernels::Compute;

void run(const Context& ctx, std::int64_t tokens, std::int64_t keys, Compute compute, int rounds) {
  constexpr std::int64_t kHeads = 32;
  constexpr std::int64_t kWidth = 128;
  Matrix q(tokens, kHeads * kWidth);
  Matrix k(keys, kHeads * kWidth);
  Matrix v(keys, kHeads * kWidth);
  Matrix out(tokens, kHeads * kWidth);
  fill(q, 1, 3.0F);
  fill(k, 2);
  fill(v, 3);
  const kernels::AttentionShape shape{kHeads, kHeads, kWidth, 0, 1 / std::sqrt(128.0F)};
  std::vector<Side> sides = {
      {"attention",
       [&] { attention(ctx, shape, q.view(), k.view(), v.view(), out.view(), compute); }}};
  interleave(sides, rounds);
  // Two products over the visible half (or the whole, for one query).
  const double pairs = static_cast<double>(tokens) *
                       (static_cast<double>(keys) - static_cast<double>(tokens - 1) / 2);
  const double t = median(sides[0].seconds);
  std::printf("T %5lld S %5lld %s  %8.2f ms  %8.1f GFLOP/s\n", static_cast<long long>(tokens),
              static_cast<long long>(keys), compute == Compute::f32 ? "f32 " : "bf16", t * 1e3,
              4 * pairs * kHeads * kWidth / t * 1e-9);
}

}  // namespace
}  // namespace pare::bench

int main(int argc, char** argv) {
  const pare::Context ctx(argc > 1 ? std::atoi(argv[1]) : 0);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  std::printf("%s, %d threads, 32 heads of 128\n", pare::bench::cpu_name().c_str(), ctx.threads());
  using pare::kernels::Compute;
  for (const Compute compute : {Compute::f32, Compute::bf16}) {
    pare::bench::run(ctx, 2048, 2048, compute, rounds);
    pare::bench::run(ctx, 512, 512, compute, rounds);
    pare::bench::run(ctx, 1, 2048, compute, rounds);
  }
}
