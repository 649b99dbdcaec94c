#include "calib/observers/scan.h"

#include "kernels/quantize.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pare::calib {
namespace {

[[noreturn]] void fail_not_finite(std::span<const float> token, std::int64_t index) {
  const auto bad =
      std::find_if(token.begin(), token.end(), [](float v) { return !std::isfinite(v); });
  throw Error(ErrorCode::not_finite, fmt::format("activation of token {}, channel {} is {}", index,
                                                 bad - token.begin(), *bad))
      .hint("the float model overflows on this sample: look at its text and at the weights");
}

}  // namespace

Range scan_range(MatrixView<const float> x) {
  Range range;
  for (std::int64_t t = 0; t < x.rows; ++t) {
    const kernels::MinMax row = kernels::min_max(x.row_span(t));
    if (!row.finite) fail_not_finite(x.row_span(t), t);
    range.min = t == 0 ? row.min : std::min(range.min, row.min);
    range.max = t == 0 ? row.max : std::max(range.max, row.max);
  }
  return range;
}

}  // namespace pare::calib
