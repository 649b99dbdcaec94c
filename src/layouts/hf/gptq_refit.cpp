// Groups whose zero point has no place in a layout, quantized again.
#include "layouts/hf/gptq.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pare::layout {
namespace {

/// Rounded to the type of the scales; as it is when that leaves nothing, which writing refuses.
float scale_for(float exact, DType dtype) {
  const float stored = round_through(exact, dtype);
  return stored > 0 && std::isfinite(stored) ? stored : exact;
}

void refit_group(quant::QuantizedLinear& q, std::int64_t row, std::int64_t group, int lowest) {
  std::vector<std::size_t> columns;
  std::vector<float> weights;
  float low = 0;
  float high = 0;
  const std::size_t place = q.scale_index(row, group);
  for (std::int64_t i = 0; i < q.in; ++i) {
    if (quant::group_of(q, i) != group) continue;
    columns.push_back(static_cast<std::size_t>(row * q.in + i));
    const float code = q.codes[columns.back()];
    weights.push_back((code - q.zeros[place]) * q.scales[place]);
    low = std::min(low, weights.back());
    high = std::max(high, weights.back());
  }
  const auto first = static_cast<float>(q.scheme.qmin());
  const auto last = static_cast<float>(q.scheme.qmax());
  const float zero = std::clamp(q.zeros[place], static_cast<float>(lowest), last);
  const float above = zero < last ? high / (last - zero) : 0.0F;
  const float below = zero > first ? -low / (zero - first) : 0.0F;
  const float needed = std::max(above, below);
  const float scale = needed > 0 ? scale_for(needed, q.scale_dtype) : 1.0F;
  q.zeros[place] = zero;
  q.scales[place] = scale;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const float code = std::clamp(std::nearbyint(weights[i] / scale) + zero, first, last);
    q.codes[columns[i]] = static_cast<std::int8_t>(code);
  }
}

}  // namespace

std::int64_t refit_zeros(quant::QuantizedLinear& q, int lowest) {
  std::int64_t changed = 0;
  const std::int64_t groups = q.scheme.groups(q.in);
  for (std::int64_t row = 0; row < q.out; ++row) {
    for (std::int64_t group = 0; group < groups; ++group) {
      const float zero = q.zero_at(row, group);
      if (zero >= static_cast<float>(lowest) && zero <= static_cast<float>(q.scheme.qmax())) {
        continue;
      }
      refit_group(q, row, group, lowest);
      ++changed;
    }
  }
  return changed;
}

}  // namespace pare::layout
