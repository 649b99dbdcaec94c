// How far a quantized thing is from the original, measured the same way everywhere.
#pragma once

#include "pare/context.h"
#include "pare/quantized_linear.h"
#include "pare/tensor.h"

#include <cstdint>
#include <span>

namespace pare::quant {

/// Sums of one comparison; add over blocks, then ask.
struct Distortion {
  double signal = 0;  // sum of original^2
  double noise = 0;   // sum of (original - approximation)^2
  double max_abs_error = 0;
  std::int64_t count = 0;

  void add(std::span<const float> original, std::span<const float> approximation) noexcept;
  void merge(const Distortion& other) noexcept;

  /// 10 log10(signal / noise); +inf when there is no noise, 0 when there is no signal but noise.
  double sqnr_db() const noexcept;
};

/// Distortion of a quantized weight against its source [O, I]. Threads: any count, same result.
Distortion weight_distortion(const Context& ctx, const TensorView& weight,
                             const QuantizedLinear& quantized);

}  // namespace pare::quant
