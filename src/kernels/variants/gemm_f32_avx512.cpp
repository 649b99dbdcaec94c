// The f32 matrix product with AVX-512: 14 rows x 32 outputs in 28 of the 32 registers.
#include "kernels/variants/gemm_kernels.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::kernels::detail {
namespace {

constexpr int kRows = 14;
constexpr std::int64_t kAhead = 1024;  // floats of B to fetch in advance: two blocks of 16 lanes

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
    const auto lane = [&](const float* at) __attribute__((always_inline)) {
      const __m512 b0 = _mm512_loadu_ps(at);
      const __m512 b1 = _mm512_loadu_ps(at + 256);
      _mm_prefetch(at + kAhead, _MM_HINT_T0);
      _mm_prefetch(at + kAhead + 256, _MM_HINT_T0);
      for (int m = 0; m < R; ++m) {
        const __m512 x = _mm512_set1_ps(a[m]);
        acc[m][0] = _mm512_fmadd_ps(x, b0, acc[m][0]);
        acc[m][1] = _mm512_fmadd_ps(x, b1, acc[m][1]);
      }
      a += kRows;
    };
    std::int64_t left = k;
    for (; left >= 16; left -= 16, b += 512) {
#pragma GCC unroll 4
      for (int r = 0; r < 16; ++r)
        lane(b + r * 16);
    }
    for (std::int64_t r = 0; r < left; ++r)
      lane(b + r * 16);
    for (int m = 0; m < R; ++m) {
      _mm512_storeu_ps(c + m * ldc, acc[m][0]);
      _mm512_storeu_ps(c + m * ldc + 16, acc[m][1]);
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
