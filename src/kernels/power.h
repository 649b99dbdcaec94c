// Row kernels of quantization in a power domain: powers of magnitudes, and the error that a set of
// levels would leave. Every function gives the same bits with every instruction set.
#pragma once

#include <cstdint>

namespace pare::kernels {

/// out[i] = sign(x[i]) * |x[i]|^exponent for finite x and 0 < exponent <= 16; 0 stays 0.
/// Computed in f64 to about 1e-14 and rounded once; what f32 cannot hold becomes its largest
/// value. `out` may be `x`.
void signed_power(const float* x, std::int64_t count, double exponent, float* out) noexcept;

/// x^exponent in f64, with the same arithmetic; x is positive and not subnormal, the result within
/// 2^-1000..2^1000.
double power_of(double x, double exponent) noexcept;

/// Levels of a magnitude: values[0] = 0 below starts[1], values[j] from starts[j] on.
struct PowerLevels {
  static constexpr int kCount = 8;
  float starts[kCount] = {};
  float values[kCount] = {};
};

/// Sum of (|x| - its level)^2 over the |x| <= limit; differences are f32, sums f64 in fixed parts.
double power_error(const float* x, std::int64_t count, float limit,
                   const PowerLevels& levels) noexcept;

}  // namespace pare::kernels
