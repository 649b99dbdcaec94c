// The f32 matrix product with AVX2 and FMA: 6 rows x 16 outputs in registers.
#include "kernels/variants/gemm_kernels.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::kernels::detail {
namespace {

constexpr int kRows = 6;

struct Tile {
  template <int R>
  static void run(const char* a, const char* b, std::int64_t k, float* c, std::int64_t ldc,
                  bool first) {
    const float* rows = reinterpret_cast<const float*>(a);
    const float* outs = reinterpret_cast<const float*>(b);
    half<R>(rows, outs, k, c, ldc, first);
    half<R>(rows, outs + 256, k, c + 16, ldc, first);
  }

  /// One of the two tile columns of the panel.
  template <int R>
  static void half(const float* a, const float* b, std::int64_t k, float* c, std::int64_t ldc,
                   bool first) {
    __m256 acc[static_cast<std::size_t>(R)][2];
    for (int m = 0; m < R; ++m) {
      acc[m][0] = first ? _mm256_setzero_ps() : _mm256_loadu_ps(c + m * ldc);
      acc[m][1] = first ? _mm256_setzero_ps() : _mm256_loadu_ps(c + m * ldc + 8);
    }
    for (std::int64_t k0 = 0; k0 < k; k0 += 16, b += 512) {
      const std::int64_t depth = k - k0 < 16 ? k - k0 : 16;
      const float* lane = b;
      for (std::int64_t r = 0; r < depth; ++r, lane += 16, a += kRows) {
        const __m256 b0 = _mm256_loadu_ps(lane);
        const __m256 b1 = _mm256_loadu_ps(lane + 8);
        for (int m = 0; m < R; ++m) {
          const __m256 x = _mm256_broadcast_ss(a + m);
          acc[m][0] = _mm256_fmadd_ps(x, b0, acc[m][0]);
          acc[m][1] = _mm256_fmadd_ps(x, b1, acc[m][1]);
        }
      }
    }
    for (int m = 0; m < R; ++m) {
      _mm256_storeu_ps(c + m * ldc, acc[m][0]);
      _mm256_storeu_ps(c + m * ldc + 8, acc[m][1]);
    }
  }
};

#include "kernels/variants/gemm_pack_f32.inc"
#include "kernels/variants/gemm_slab_f32.inc"

template <bool kRound>
constexpr Engine engine() {
  return {.row_panel = kRows,
          .lane_k = 1,
          .a_round_k = 1,
          .slab_k = 256,
          .block_row_panels = 32,
          .block_out_panels = 8,
          .pack_a = pack_a_f32<kRound, kRows>,
          .pack_b = pack_b_f32<kRound>,
          .pack_b_columns = pack_b_columns_f32<kRound>,
          .slab = run_slab};
}

}  // namespace

const Engine kF32Avx2 = engine<false>();
const Engine kRoundedAvx2 = engine<true>();

}  // namespace pare::kernels::detail
