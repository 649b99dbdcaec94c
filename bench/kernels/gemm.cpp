// Rates of the matrix product for every variant of this CPU; f32 beside OpenBLAS when built in.
// Usage: pare_bench_gemm [threads] [rounds] [tokens outputs inputs]
#include "kernels/gemm.h"

#include "../timing.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#ifdef PARE_HAVE_OPENBLAS
extern "C" void openblas_set_num_threads(int threads);
extern "C" void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                            const float* a, int lda, const float* b, int ldb, float beta, float* c,
                            int ldc);
#endif

namespace pare::bench {
namespace {

using kernels::Compute;
using kernels::Isa;

struct Sizes {
  std::int64_t t, o, i;
};

void add_openblas(std::vector<Side>& sides, const Sizes& s, const Matrix& x, const Matrix& w,
                  Matrix& y, int threads) {
#ifdef PARE_HAVE_OPENBLAS
  openblas_set_num_threads(threads);
  sides.push_back({"OpenBLAS f32", [&x, &w, &y, s] {
                     constexpr int kRowMajor = 101;
                     constexpr int kPlain = 111;
                     constexpr int kTransposed = 112;
                     const int i = static_cast<int>(s.i);
                     const int o = static_cast<int>(s.o);
                     cblas_sgemm(kRowMajor, kPlain, kTransposed, static_cast<int>(s.t), o, i, 1,
                                 x.values().data(), i, w.values().data(), i, 0, y.values().data(),
                                 o);
                   }});
#else
  static_cast<void>(sides), static_cast<void>(s), static_cast<void>(x), static_cast<void>(w);
  static_cast<void>(y), static_cast<void>(threads);
#endif
}

void run(const Context& ctx, const Sizes& s, int rounds) {
  Matrix x(s.t, s.i);
  Matrix w(s.o, s.i);
  Matrix y(s.t, s.o);
  fill(x, 1);
  fill(w, 2);
  std::vector<kernels::PackedWeight> packed;
  packed.reserve(16);
  std::vector<Side> sides;
  add_openblas(sides, s, x, w, y, ctx.threads());
  for (const Compute compute : {Compute::f32, Compute::bf16}) {
    for (const Isa isa : kernels::available_isas()) {
      const bool own_code = compute == Compute::f32 ? isa <= Isa::avx512 : isa >= Isa::avx512bf16;
      if (!own_code || isa == Isa::scalar) continue;
      packed.emplace_back(ctx, w.view(), compute, isa);
      const kernels::PackedWeight& weight = packed.back();
      sides.push_back({(compute == Compute::f32 ? "f32 " : "bf16 ") + std::string(isa_name(isa)),
                       [&ctx, &x, &y, &weight] { matmul(ctx, x.view(), weight, y.view()); }});
    }
  }
  interleave(sides, rounds);
  const double work = 2.0 * static_cast<double>(s.t * s.o) * static_cast<double>(s.i);
  for (const Side& side : sides) {
    const double t = median(side.seconds);
    std::printf("T %5lld O %5lld I %5lld  %-16s %8.1f GFLOP/s (best %8.1f)  weight %6.1f GB/s\n",
                static_cast<long long>(s.t), static_cast<long long>(s.o),
                static_cast<long long>(s.i), side.name.c_str(), work / t * 1e-9,
                work / *std::min_element(side.seconds.begin(), side.seconds.end()) * 1e-9,
                static_cast<double>(s.o * s.i) * (side.name[0] == 'b' ? 2 : 4) / t * 1e-9);
  }
}

}  // namespace
}  // namespace pare::bench

int main(int argc, char** argv) {
  const pare::Context ctx(argc > 1 ? std::atoi(argv[1]) : 0);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  std::printf("%s, %d threads\n", pare::bench::cpu_name().c_str(), ctx.threads());
  using pare::bench::Sizes;
  if (argc > 5) {
    pare::bench::run(ctx, {std::atoll(argv[3]), std::atoll(argv[4]), std::atoll(argv[5])}, rounds);
    return 0;
  }
  for (const Sizes& s :
       {Sizes{2048, 4096, 4096}, Sizes{2048, 11008, 4096}, Sizes{2048, 4096, 11008},
        Sizes{512, 4096, 4096}, Sizes{64, 4096, 4096}, Sizes{1, 11008, 4096}}) {
    pare::bench::run(ctx, s, rounds);
  }
}
