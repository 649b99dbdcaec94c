// x^y for channel scales.
#pragma once

#include <cmath>

namespace pare::transform {

/// x^y in f32, through f64: powf differs in its last bit between CPUs.
inline float power(float x, float y) noexcept {
  return static_cast<float>(std::pow(static_cast<double>(x), static_cast<double>(y)));
}

}  // namespace pare::transform
