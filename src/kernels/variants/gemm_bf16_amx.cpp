// The bf16 matrix product with AMX: 2 x 2 accumulator tiles, operands in 1 KiB tiles.
#include "kernels/variants/gemm_kernels.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

// GCC 12 takes the undefined pass-through operand inside its own intrinsics for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace pare::kernels::detail {
namespace {

constexpr std::int64_t kRows = 32;
constexpr std::int64_t kStepBytes = 2 * kTileBytes;  // 32 of k in two tiles

#include "kernels/variants/gemm_pack_bf16.inc"

/// Panel: for every 32 of k two tiles [16 rows][32 k].
void pack_a_tiles(const float* x, std::int64_t stride, std::int64_t rows, std::int64_t k,
                  void* panel) {
  char* out = static_cast<char*>(panel);
  for (std::int64_t m = 0; m < kRows; ++m) {
    char* row_out = out + (m / 16) * kTileBytes + (m % 16) * 64;
    for (std::int64_t k0 = 0; k0 < k; k0 += 32, row_out += kStepBytes) {
      const __m512i lanes =
          m < rows ? load_row(x + m * stride + k0, k - k0) : _mm512_setzero_si512();
      _mm512_storeu_si512(row_out, lanes);
    }
  }
}

struct TileConfig {
  std::uint8_t palette;
  std::uint8_t start_row;
  std::uint8_t reserved[14];
  std::uint16_t column_bytes[16];
  std::uint8_t rows[16];
};
static_assert(sizeof(TileConfig) == 64);

void configure_tiles() {
  TileConfig config = {};
  config.palette = 1;
  for (int i = 0; i < 8; ++i) {
    config.column_bytes[i] = 64;
    config.rows[i] = 16;
  }
  // GCC 12 does not know that the load reads the whole struct and would drop the stores above.
  asm volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}

/// Walks over the next slab's operands, a few cache lines per step.
struct Prefetch {
  const char* at;
  const char* end;
  const char* then;
  const char* then_end;

  void step() {
    if (at >= end) {
      at = then;
      end = then_end;
      then_end = then;
      if (at >= end) return;
    }
    _mm_prefetch(at, _MM_HINT_T1);
    _mm_prefetch(at + 64, _MM_HINT_T1);
    _mm_prefetch(at + 128, _MM_HINT_T1);
    _mm_prefetch(at + 192, _MM_HINT_T1);
    at += 256;
  }
};

/// 32 x 32 outputs.
inline void multiply_full(const char* a, const char* b, std::int64_t steps, float* c,
                          std::int64_t ldc, bool first, Prefetch& prefetch) {
  const std::int64_t row = ldc * 4;
  float* below = c + 16 * ldc;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, c, row);
    _tile_loadd(1, c + 16, row);
    _tile_loadd(2, below, row);
    _tile_loadd(3, below + 16, row);
  }
  for (std::int64_t s = 0; s < steps; ++s, a += kStepBytes, b += kStepBytes) {
    prefetch.step();
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + kTileBytes, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, row);
  _tile_stored(1, c + 16, row);
  _tile_stored(2, below, row);
  _tile_stored(3, below + 16, row);
}

/// The upper 16 x 32 outputs, when the panel has no more rows.
inline void multiply_half(const char* a, const char* b, std::int64_t steps, float* c,
                          std::int64_t ldc, bool first, Prefetch& prefetch) {
  const std::int64_t row = ldc * 4;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
  } else {
    _tile_loadd(0, c, row);
    _tile_loadd(1, c + 16, row);
  }
  for (std::int64_t s = 0; s < steps; ++s, a += kStepBytes, b += kStepBytes) {
    prefetch.step();
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
  }
  _tile_stored(0, c, row);
  _tile_stored(1, c + 16, row);
}

void run_slab(const SlabJob* job) {
  configure_tiles();
  Prefetch prefetch{job->next_a, job->next_a + job->next_a_bytes, job->next_b,
                    job->next_b + job->next_b_bytes};
  const std::int64_t steps = (job->k + 31) / 32;
  const char* b = static_cast<const char*>(job->b);
  for (std::int64_t n = 0; n < job->b_panels; ++n, b += job->b_panel_bytes) {
    const char* a = static_cast<const char*>(job->a);
    float* c = job->c + n * kPanelOuts;
    for (std::int64_t row = 0; row < job->rows; row += kRows, a += job->a_panel_bytes) {
      float* at = c + row * job->ldc;
      if (job->rows - row > 16) {
        multiply_full(a, b, steps, at, job->ldc, job->first, prefetch);
      } else {
        multiply_half(a, b, steps, at, job->ldc, job->first, prefetch);
      }
    }
  }
  _tile_release();
}

}  // namespace

const Engine kBf16Amx = {.row_panel = kRows,
                         .lane_k = 2,
                         .a_round_k = 32,
                         .slab_k = 256,
                         .block_row_panels = 16,
                         .block_out_panels = 12,
                         .pack_a = pack_a_tiles,
                         .pack_b = pack_b_bf16,
                         .pack_b_columns = pack_b_columns_bf16,
                         .slab = run_slab};

}  // namespace pare::kernels::detail
