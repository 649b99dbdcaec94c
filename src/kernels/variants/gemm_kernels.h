// What one instruction-set variant of the matrix product offers. Plain C++ without the standard
// library, because files compiled for one instruction set include it.
#pragma once

#include <cstdint>

namespace pare::kernels::detail {

/// Outputs per panel of the right-hand side.
inline constexpr std::int64_t kPanelOuts = 32;
/// Bytes of one 16 x 16 tile of 32-bit lanes; a panel has two tiles per 16 lanes of depth.
inline constexpr std::int64_t kTileBytes = 1024;

/// C [rows, 32 * b_panels] = (first ? 0 : C) + A · B over one slab of depth k.
struct SlabJob {
  const void* a = nullptr;  // panels of row_panel rows
  std::int64_t a_panel_bytes = 0;
  std::int64_t rows = 0;
  const void* b = nullptr;  // panels of 32 outputs
  std::int64_t b_panel_bytes = 0;
  std::int64_t b_panels = 0;
  std::int64_t k = 0;
  float* c = nullptr;  // room for whole panels of rows and outputs
  std::int64_t ldc = 0;
  bool first = true;
  // Operands of the next slab, to be fetched into the second-level cache meanwhile.
  const char* next_a = nullptr;
  std::int64_t next_a_bytes = 0;
  const char* next_b = nullptr;
  std::int64_t next_b_bytes = 0;
};

/// One way to multiply. Layouts:
///   B panel: for every 16 lanes of depth two tiles [16 lanes][16 outputs] of 32-bit values; a lane
///            is one f32 (lane_k = 1) or a pair of bf16 with neighbouring k (lane_k = 2).
///   A panel: what `slab` of the same engine wants; row_panel rows, zero-padded.
struct Engine {
  std::int64_t row_panel;
  std::int64_t lane_k;
  std::int64_t a_round_k;         // depth of an A panel is rounded up to this
  std::int64_t slab_k;            // depth of one slab; a multiple of 32
  std::int64_t block_row_panels;  // size of the block of C that stays in the second-level cache
  std::int64_t block_out_panels;
  /// x [rows, k] -> one A panel.
  void (*pack_a)(const float* x, std::int64_t stride, std::int64_t rows, std::int64_t k,
                 void* panel);
  /// w [outs, k] -> one B panel (transposing).
  void (*pack_b)(const float* w, std::int64_t stride, std::int64_t outs, std::int64_t k,
                 void* panel);
  /// v [k, outs] -> one B panel (depth runs down the rows).
  void (*pack_b_columns)(const float* v, std::int64_t stride, std::int64_t k, std::int64_t outs,
                         void* panel);
  void (*slab)(const SlabJob* job);
};

inline std::int64_t a_panel_bytes(const Engine& e, std::int64_t k) {
  const std::int64_t depth = (k + e.a_round_k - 1) / e.a_round_k * e.a_round_k;
  return depth * e.row_panel * 4 / e.lane_k;
}

inline std::int64_t b_panel_bytes(const Engine& e, std::int64_t k) {
  const std::int64_t depth = 16 * e.lane_k;
  return (k + depth - 1) / depth * 2 * kTileBytes;
}

extern const Engine kF32Scalar;
extern const Engine kRoundedScalar;  // operands rounded to bf16, f32 arithmetic
extern const Engine kF32Avx2;
extern const Engine kRoundedAvx2;
extern const Engine kF32Avx512;
extern const Engine kRoundedAvx512;
extern const Engine kBf16Avx512;
extern const Engine kBf16Amx;

}  // namespace pare::kernels::detail
