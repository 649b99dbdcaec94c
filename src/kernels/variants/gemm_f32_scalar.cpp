// The matrix product without vector instructions; also what the others' bits are compared with.
#include "kernels/variants/gemm_kernels.h"

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace pare::kernels::detail {
namespace {

constexpr int kRows = 4;

struct Tile {
  template <int R>
  static void run(const char* a_bytes, const char* b_bytes, std::int64_t k, float* c,
                  std::int64_t ldc, bool first) {
    const float* a = reinterpret_cast<const float*>(a_bytes);
    const float* b = reinterpret_cast<const float*>(b_bytes);
    float acc[static_cast<std::size_t>(R)][kPanelOuts];
    for (int m = 0; m < R; ++m) {
      for (int n = 0; n < kPanelOuts; ++n)
        acc[m][n] = first ? 0.0F : c[m * ldc + n];
    }
    for (std::int64_t i = 0; i < k; ++i) {
      const float* lane = b + (i / 16) * 512 + (i % 16) * 16;
      for (int m = 0; m < R; ++m) {
        const float x = a[i * kRows + m];
        for (int n = 0; n < 16; ++n)
          acc[m][n] = std::fma(x, lane[n], acc[m][n]);
        for (int n = 0; n < 16; ++n)
          acc[m][16 + n] = std::fma(x, lane[256 + n], acc[m][16 + n]);
      }
    }
    for (int m = 0; m < R; ++m) {
      for (int n = 0; n < kPanelOuts; ++n)
        c[m * ldc + n] = acc[m][n];
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

const Engine kF32Scalar = engine<false>();
const Engine kRoundedScalar = engine<true>();

}  // namespace pare::kernels::detail
