// The f32 matrix product with AVX-512: 14 rows x 32 outputs in 28 of the 32 registers.
#include "kernels/gemm_kernels.h"

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

namespace pare::kernels::detail {
namespace {

constexpr int kRows = 14;

struct Tile {
  template <int R>
  static void run(const char* a_bytes, const char* b_bytes, std::int64_t k, float* c,
                  std::int64_t ldc, bool first) {
    const float* a = reinterpret_cast<const float*>(a_bytes);
    const float* b = reinterpret_cast<const float*>(b_bytes);
    __m512 acc[static_cast<std::size_t>(R)][2];
    for (int m = 0; m < R; ++m) {
      acc[m][0] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(c + m * ldc);
      acc[m][1] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(c + m * ldc + 16);
    }
    for (std::int64_t k0 = 0; k0 < k; k0 += 16, b += 512) {
      const std::int64_t depth = k - k0 < 16 ? k - k0 : 16;
      const float* lane = b;
      for (std::int64_t r = 0; r < depth; ++r, lane += 16, a += kRows) {
        const __m512 b0 = _mm512_loadu_ps(lane);
        const __m512 b1 = _mm512_loadu_ps(lane + 256);
        for (int m = 0; m < R; ++m) {
          const __m512 x = _mm512_set1_ps(a[m]);
          acc[m][0] = _mm512_fmadd_ps(x, b0, acc[m][0]);
          acc[m][1] = _mm512_fmadd_ps(x, b1, acc[m][1]);
        }
      }
    }
    for (int m = 0; m < R; ++m) {
      _mm512_storeu_ps(c + m * ldc, acc[m][0]);
      _mm512_storeu_ps(c + m * ldc + 16, acc[m][1]);
    }
  }
};

#include "kernels/gemm_pack_f32.inc"
#include "kernels/gemm_slab_f32.inc"

template <bool kRound>
constexpr Engine engine() {
  return {.row_panel = kRows,
          .lane_k = 1,
          .a_round_k = 1,
          .slab_k = 256,
          .block_row_panels = 16,
          .block_out_panels = 8,
          .pack_a = pack_a_f32<kRound, kRows>,
          .pack_b = pack_b_f32<kRound>,
          .pack_b_columns = pack_b_columns_f32<kRound>,
          .slab = run_slab};
}

}  // namespace

const Engine kF32Avx512 = engine<false>();
const Engine kRoundedAvx512 = engine<true>();

}  // namespace pare::kernels::detail
