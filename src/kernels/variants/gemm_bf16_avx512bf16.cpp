// The bf16 matrix product with AVX-512 bf16: 14 rows x 32 outputs, pairs of k per instruction.
#include "kernels/variants/gemm_kernels.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

// GCC 12 takes the undefined pass-through operand inside its own intrinsics for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace pare::kernels::detail {
namespace {

constexpr int kRows = 14;
constexpr std::int64_t kAhead = 4096;  // bytes of B to fetch in advance: two blocks of 16 lanes

struct Tile {
  template <int R>
  static void run(const char* a_bytes, const char* b_bytes, std::int64_t k, float* c,
                  std::int64_t ldc, bool first) {
    const std::int32_t* a = reinterpret_cast<const std::int32_t*>(a_bytes);
    const char* b = b_bytes;
    __m512 acc[static_cast<std::size_t>(R)][2];
    for (int m = 0; m < R; ++m) {
      acc[m][0] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(c + m * ldc);
      acc[m][1] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(c + m * ldc + 16);
    }
    const auto lane = [&](const char* at) __attribute__((always_inline)) {
      const __m512bh b0 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(at));
      const __m512bh b1 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(at + kTileBytes));
      _mm_prefetch(at + kAhead, _MM_HINT_T0);
      _mm_prefetch(at + kAhead + kTileBytes, _MM_HINT_T0);
      for (int m = 0; m < R; ++m) {
        const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(a[m]));
        acc[m][0] = _mm512_dpbf16_ps(acc[m][0], x, b0);
        acc[m][1] = _mm512_dpbf16_ps(acc[m][1], x, b1);
      }
      a += kRows;
    };
    std::int64_t left = (k + 1) / 2;
    for (; left >= 16; left -= 16, b += 2 * kTileBytes) {
#pragma GCC unroll 4
      for (int r = 0; r < 16; ++r)
        lane(b + r * 64);
    }
    for (std::int64_t r = 0; r < left; ++r)
      lane(b + r * 64);
    for (int m = 0; m < R; ++m) {
      _mm512_storeu_ps(c + m * ldc, acc[m][0]);
      _mm512_storeu_ps(c + m * ldc + 16, acc[m][1]);
    }
  }
};

#include "kernels/variants/gemm_pack_bf16.inc"
#include "kernels/variants/gemm_slab_f32.inc"

/// Panel [k / 2][kRows] of pairs.
void pack_a_pairs(const float* x, std::int64_t stride, std::int64_t rows, std::int64_t k,
                  void* panel) {
  std::int32_t* out = static_cast<std::int32_t*>(panel);
  alignas(64) std::int32_t lanes[16][kRows + 2];
  for (std::int64_t k0 = 0; k0 < k; k0 += 32) {
    const std::int64_t pairs = k - k0 >= 32 ? 16 : (k - k0 + 1) / 2;
    __m512i block[16];
    for (std::int64_t m = 0; m < 16; ++m) {
      block[m] = m < rows ? load_row(x + m * stride + k0, k - k0) : _mm512_setzero_si512();
    }
    transpose16(block);
    for (int r = 0; r < 16; ++r)
      _mm512_store_si512(lanes[r], block[r]);
    for (std::int64_t r = 0; r < pairs; ++r, out += kRows) {
      __builtin_memcpy(out, lanes[r], kRows * sizeof(std::int32_t));
    }
  }
}

}  // namespace

const Engine kBf16Avx512 = {.row_panel = kRows,
                            .lane_k = 2,
                            .a_round_k = 2,
                            .slab_k = 512,
                            .block_row_panels = 16,
                            .block_out_panels = 8,
                            .pack_a = pack_a_pairs,
                            .pack_b = pack_b_bf16,
                            .pack_b_columns = pack_b_columns_bf16,
                            .slab = run_slab};

}  // namespace pare::kernels::detail
