#include "quant/affine.h"

#include "kernels/quantize.h"

#include <algorithm>
#include <cmath>

namespace pare::quant {
AffineParams affine_params(int bits, float min, float max, bool symmetric) noexcept {
  const float low = std::min(min, 0.0F);
  const float high = std::max(max, 0.0F);
  const float half = static_cast<float>(1 << (bits - 1));
  if (symmetric) {
    return {std::max(std::max(-low, high) / (half - 1.0F), kSmallestScale), 0.0F};
  }
  const float steps = static_cast<float>((1 << bits) - 1);
  const float scale = std::max((high - low) / steps, kSmallestScale);
  return {scale, std::nearbyint(-low / scale) - half};
}

float quantize_value(float x, AffineParams p, float lo, float hi) noexcept {
  return std::clamp(std::nearbyint(x / p.scale + p.zero_point), lo, hi);
}

void fake_quantize(std::span<float> x, AffineParams p, float lo, float hi) noexcept {
  kernels::fake_quantize_row(x.data(), static_cast<std::int64_t>(x.size()), p.scale, p.zero_point,
                             lo, hi);
}

void fake_quantize_token(std::span<float> x) noexcept {
  const kernels::MinMax range = kernels::min_max(x);
  float scale = std::max(-range.min, range.max) / 127.0F;
  if (!(scale > 0)) scale = 1;  // all zero, or so small that the scale is
  fake_quantize(x, {scale, 0.0F}, -127.0F, 127.0F);
}

}  // namespace pare::quant
