#include "pipeline/convert/difference.h"

#include <algorithm>
#include <cmath>

namespace pare::pipeline {
namespace {

/// Largest |code - zero| of a run of codes.
float reach(const std::int8_t* codes, std::int64_t count, float zero) noexcept {
  int low = codes[0];
  int high = codes[0];
  for (std::int64_t i = 0; i < count; ++i) {
    low = std::min<int>(low, codes[i]);
    high = std::max<int>(high, codes[i]);
  }
  return std::max(std::abs(static_cast<float>(low) - zero),
                  std::abs(static_cast<float>(high) - zero));
}

void dequantize_row(const quant::QuantizedLinear& q, std::int64_t row, std::vector<float>& out) {
  const std::int64_t columns = q.scheme.group_columns(q.in);
  out.resize(static_cast<std::size_t>(q.in));
  for (std::int64_t first = 0; first < q.in; first += columns) {
    quant::dequantize_columns(q, row, first, columns, out.data() + first);
  }
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) noexcept {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst;
}

}  // namespace

double scale_difference(const quant::QuantizedLinear& q, const std::vector<float>& scales) {
  double worst = 0;
  if (q.scales == scales) return 0;
  const std::int64_t columns = q.scheme.group_columns(q.in);
  for (std::int64_t row = 0; row < q.out; ++row) {
    for (std::int64_t column = 0; column < q.in; column += columns) {
      const std::size_t at = q.scale_index(row, column / columns);
      if (q.scales[at] == scales[at]) continue;
      const double change =
          std::abs(static_cast<double>(q.scales[at]) - static_cast<double>(scales[at]));
      worst =
          std::max(worst, change * static_cast<double>(reach(q.codes.data() + row * q.in + column,
                                                             columns, q.zeros[at])));
    }
  }
  return worst;
}

double weight_difference(const quant::QuantizedLinear& a, const quant::QuantizedLinear& b) {
  double worst = 0;
  std::vector<float> left;
  std::vector<float> right;
  for (std::int64_t row = 0; row < a.out; ++row) {
    dequantize_row(a, row, left);
    dequantize_row(b, row, right);
    worst = std::max(worst, largest_difference(left, right));
  }
  return worst;
}

double rounding_difference(const quant::QuantizedLinear& q, DType dtype) {
  double worst = 0;
  std::vector<float> weights;
  for (std::int64_t row = 0; row < q.out; ++row) {
    dequantize_row(q, row, weights);
    std::vector<float> rounded = weights;
    for (float& value : rounded)
      value = round_through(value, dtype);
    worst = std::max(worst, largest_difference(weights, rounded));
  }
  return worst;
}

}  // namespace pare::pipeline
