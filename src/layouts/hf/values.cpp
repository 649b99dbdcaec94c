#include "layouts/hf/values.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace pare::layout {
namespace {

constexpr std::string_view kOutside =
    "choose --format ascend, which holds any whole zero point, or quantize again";

std::string place_of(const quant::QuantizedLinear& q, std::size_t index) {
  const auto groups = static_cast<std::size_t>(q.scheme.groups(q.in));
  return fmt::format("row {}, group {}", index / groups, index % groups);
}

}  // namespace

StridedCodes<const std::int8_t> input_grid(const quant::QuantizedLinear& q) noexcept {
  return {q.codes.data(), q.in, q.out, 1, q.in};
}

StridedCodes<const std::int8_t> group_grid(const quant::QuantizedLinear& q,
                                           const std::vector<std::int8_t>& zeros) noexcept {
  const std::int64_t groups = q.scheme.groups(q.in);
  return {zeros.data(), groups, q.out, 1, groups};
}

std::vector<std::int8_t> zero_codes(const quant::QuantizedLinear& q, int less,
                                    std::string_view lowest_hint) {
  std::vector<std::int8_t> codes(q.zeros.size());
  const auto low = static_cast<float>(q.scheme.qmin());
  const auto high = static_cast<float>(q.scheme.qmax());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const float zero = q.zeros[i];
    const float field = zero - static_cast<float>(less);
    const bool whole = std::isfinite(zero) && std::nearbyint(zero) == zero;
    if (whole && field >= low && field <= high) {
      codes[i] = static_cast<std::int8_t>(field);
      continue;
    }
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("{}: zero point {} has no place; {} to {} have one", place_of(q, i),
                            zero - low, less, q.scheme.qmax() - q.scheme.qmin() + less))
        .hint(std::string(zero == low && !lowest_hint.empty() ? lowest_hint : kOutside));
  }
  return codes;
}

Tensor scale_tensor(const quant::QuantizedLinear& q, DType dtype, ScaleOrder lie) {
  for (std::size_t i = 0; i < q.scales.size(); ++i) {
    const float scale = q.scales[i];
    if (std::isfinite(scale) && round_through(scale, dtype) == scale) continue;
    throw Error(ErrorCode::out_of_range, fmt::format("{}: scale {} is not exact in {}",
                                                     place_of(q, i), scale, name_of(dtype)))
        .hint("round the scales to the type of the format before codes are made with them");
  }
  const auto groups = static_cast<std::int64_t>(q.scales.size()) / q.out;
  if (lie == ScaleOrder::along_rows) return store_floats(q.scales, dtype, {q.out, groups});
  return store_floats(by_rows(q.scales, q.out, groups), dtype, {groups, q.out});
}

Tensor group_index_tensor(const quant::QuantizedLinear& q) {
  std::vector<std::int32_t> index(static_cast<std::size_t>(q.in));
  for (std::size_t i = 0; i < index.size(); ++i) {
    index[i] = static_cast<std::int32_t>(quant::group_of(q, static_cast<std::int64_t>(i)));
  }
  return Tensor::from<std::int32_t>(DType::i32, {q.in}, index);
}

std::vector<float> by_rows(const std::vector<float>& values, std::int64_t groups,
                           std::int64_t rows) {
  std::vector<float> turned(values.size());
  const auto g_count = static_cast<std::size_t>(groups);
  const auto r_count = static_cast<std::size_t>(rows);
  for (std::size_t g = 0; g < g_count; ++g) {
    for (std::size_t r = 0; r < r_count; ++r)
      turned[r * g_count + g] = values[g * r_count + r];
  }
  return turned;
}

}  // namespace pare::layout
