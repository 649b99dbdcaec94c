// Loops over one row of f32, per instruction set. Written without fused operations and with sums
// in 16 fixed lanes, so every variant gives the same bits. Plain C++ without the standard library.
#pragma once

#include <cstdint>

namespace pare::kernels::detail {

struct RowKernels {
  /// y = w * x * factor, factor = 1 / sqrt(mean(x^2) + eps), the mean in f64.
  void (*rms_norm)(const float* x, const float* w, float eps, float* y, std::int64_t n);
  /// gate = silu(gate) * up.
  void (*silu_mul)(float* gate, const float* up, std::int64_t n);
  /// x += y.
  void (*add)(float* x, const float* y, std::int64_t n);
  /// (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin), n values each.
  void (*rotate)(float* x1, float* x2, const float* cos, const float* sin, std::int64_t n);
  float (*max)(const float* x, std::int64_t n);
  /// x = exp(x * scale - shift); returns the sum.
  double (*exp_shifted)(float* x, float scale, float shift, std::int64_t n);
  /// Sum of exp(x - shift), x unchanged.
  double (*sum_exp)(const float* x, float shift, std::int64_t n);
  /// x *= factor.
  void (*scale)(float* x, float factor, std::int64_t n);
  float (*dot)(const float* x, const float* y, std::int64_t n);
  /// y += factor * x.
  void (*add_scaled)(float* y, float factor, const float* x, std::int64_t n);
  /// 16-bit floats widened; `x` may be unaligned.
  void (*widen_f16)(const void* x, float* y, std::int64_t n);
  void (*widen_bf16)(const void* x, float* y, std::int64_t n);
};

extern const RowKernels kRowsScalar;
extern const RowKernels kRowsAvx2;
extern const RowKernels kRowsAvx512;

}  // namespace pare::kernels::detail
