#include "layouts/scale_rounding.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pare::layout {
namespace {

float smallest_normal(DType dtype) noexcept { return dtype == DType::f16 ? 0x1p-14F : 0x1p-126F; }

float rounded(const quant::QuantizedLinear& q, std::size_t index, DType dtype) {
  const float scale = q.scales[index];
  const float stored = round_through(scale, dtype);
  if (std::isfinite(stored) && (stored != 0 || scale == 0)) return stored;
  const auto groups = static_cast<std::size_t>(q.scheme.groups(q.in));
  throw Error(ErrorCode::out_of_range,
              fmt::format("{}, row {}, group {}: scale {} does not fit {}", q.name, index / groups,
                          index % groups, scale, name_of(dtype)))
      .hint("choose a format that keeps the type of the scales, such as compressed-tensors");
}

}  // namespace

void ScaleRounding::add(const ScaleRounding& other) noexcept {
  scales += other.scales;
  changed += other.changed;
  subnormal += other.subnormal;
  worst = std::max(worst, other.worst);
}

ScaleRounding round_scales(quant::QuantizedLinear& q, DType dtype) {
  ScaleRounding rounding;
  for (std::size_t i = 0; i < q.scales.size(); ++i) {
    const float scale = q.scales[i];
    const float stored = rounded(q, i, dtype);
    ++rounding.scales;
    if (stored != 0 && std::abs(stored) < smallest_normal(dtype)) ++rounding.subnormal;
    if (stored == scale) continue;
    ++rounding.changed;
    const double change = std::abs(static_cast<double>(stored) / static_cast<double>(scale) - 1);
    rounding.worst = std::max(rounding.worst, change);
    q.scales[i] = stored;
  }
  q.scale_dtype = dtype;
  return rounding;
}

}  // namespace pare::layout
