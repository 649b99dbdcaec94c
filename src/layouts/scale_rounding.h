// Scales rounded to the type that a format stores them in, and how much that changed.
#pragma once

#include "pare/quantized_linear.h"

#include <cstdint>

namespace pare::layout {

struct ScaleRounding {
  std::int64_t scales = 0;     // looked at
  std::int64_t changed = 0;    // not exact in the type
  std::int64_t subnormal = 0;  // below the type's normal range, where it loses digits
  double worst = 0;            // largest relative change

  void add(const ScaleRounding& other) noexcept;
};

/// Rounds the scales of a linear to `dtype` (F16, BF16 or F32), half to even, and sets its type.
/// Codes stay as they are: each weight changes by the factor of its scale. For checkpoints whose
/// codes were made with wider scales; quantizing makes codes with rounded ones from the start.
/// Errors: out_of_range, naming row and group, when a scale becomes infinite or 0.
ScaleRounding round_scales(quant::QuantizedLinear& q, DType dtype);

}  // namespace pare::layout
