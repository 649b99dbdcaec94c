// Row kernels of quantization: ranges, codes and back; vectorised, one row at a time.
// Every function gives the same bits with every instruction set.
#pragma once

#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pare::kernels {

/// Smallest and largest value; a zero is always +0, no values give 0 and 0.
/// min and max mean nothing when `finite` is false.
struct MinMax {
  float min = 0;
  float max = 0;
  bool finite = true;  // false when a NaN or infinity was met
};
MinMax min_max(std::span<const float> x) noexcept;

/// The same of `count` values of f32, f16 or bf16 at `data` (unaligned allowed).
MinMax min_max_bytes(DType dtype, const std::byte* data, std::int64_t count) noexcept;

/// out[i] = the f32, f16 or bf16 value i at `data` (unaligned allowed).
void widen_row(DType dtype, const std::byte* data, std::int64_t count, float* out) noexcept;

/// out[i] = x[i] as f16, rounded half to even; x is finite. False when one became infinite.
bool narrow_row_f16(const float* x, std::int64_t count, std::byte* out) noexcept;

/// codes[i] = clamp(rint(x[i] / scale + zero), lo, hi), true division, round half to even.
/// x is `count` finite values of f32, f16 or bf16 at `data` (unaligned allowed); scale > 0;
/// lo and hi lie in -128..127.
void quantize_row(DType dtype, const std::byte* data, std::int64_t count, float scale, float zero,
                  int lo, int hi, std::int8_t* codes) noexcept;

/// out[i] = (codes[i] - zero) * scale.
void dequantize_row(const std::int8_t* codes, std::int64_t count, float scale, float zero,
                    float* out) noexcept;

/// Fake quantization in place: x = (clamp(rint(x / scale + zero), lo, hi) - zero) * scale.
/// lo and hi are whole numbers of a magnitude below 2^22.
void fake_quantize_row(float* x, std::int64_t count, float scale, float zero, float lo,
                       float hi) noexcept;

/// Sums over a row: original^2, (original - approximation)^2, and the largest |difference|.
/// Differences and sums are f64.
struct RowError {
  double signal = 0;
  double noise = 0;
  double max_abs = 0;
};
RowError row_error(const float* original, const float* approximation, std::int64_t count) noexcept;

}  // namespace pare::kernels
