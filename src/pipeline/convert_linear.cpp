#include "pipeline/convert_linear.h"

#include "core/error.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pare::pipeline {
namespace {

Tensor stored_bias(const export_::StoredLinear& stored, DType dtype) {
  const std::optional<Tensor>& bias = stored.linear.bias;
  if (!bias.has_value()) return store_floats(stored.effective_bias, dtype, {stored.linear.out});
  if (bias->dtype() == dtype) return *bias;
  return store_floats(read_floats(bias->view()), dtype, bias->shape());
}

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

/// Codes, zeros and groups are the same: weights differ by their scales alone.
double scale_difference(const quant::QuantizedLinear& a, const quant::QuantizedLinear& b) {
  double worst = 0;
  const std::int64_t columns = a.scheme.group_columns(a.in);
  for (std::int64_t row = 0; row < a.out; ++row) {
    for (std::int64_t first = 0; first < a.in; first += columns) {
      const std::size_t at = a.scale_index(row, first / columns);
      if (a.scales[at] == b.scales[at]) continue;
      const double change =
          std::abs(static_cast<double>(a.scales[at]) - static_cast<double>(b.scales[at]));
      const float most = reach(a.codes.data() + row * a.in + first, columns, a.zeros[at]);
      worst = std::max(worst, change * static_cast<double>(most));
    }
  }
  return worst;
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

void Fitting::add(const Fitting& other) noexcept {
  scales.add(other.scales);
  refitted_groups += other.refitted_groups;
}

Fitting fit_linear(export_::StoredLinear& stored, const export_::LinearPlan& planned,
                   const export_::Exporter& exporter, const ParamMap& params) {
  quant::QuantizedLinear& q = stored.linear;
  Fitting fitting;
  q.scheme = planned.scheme;
  if (planned.bias_dtype.has_value()) q.bias = stored_bias(stored, *planned.bias_dtype);
  if (exporter.scale_dtype.has_value()) {
    fitting.scales = export_::round_scales(q, *exporter.scale_dtype);
  }
  if (exporter.adapt != nullptr) fitting.refitted_groups = exporter.adapt(q, params);
  return fitting;
}

double weight_difference(const quant::QuantizedLinear& a, const quant::QuantizedLinear& b) {
  const bool same_grid = a.codes == b.codes && a.zeros == b.zeros &&
                         a.group_index == b.group_index && a.row_scales == b.row_scales &&
                         a.power == b.power && a.scales.size() == b.scales.size();
  if (same_grid && a.scales == b.scales) return 0;
  const bool plain = a.group_index.empty() && a.row_scales.empty() && a.power == 1;
  if (same_grid && plain) return scale_difference(a, b);
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

double weight_difference(const quant::QuantizedLinear& a, const TensorView& floats, bool& exact) {
  double worst = 0;
  std::vector<float> meant;
  std::vector<float> found(static_cast<std::size_t>(a.in));
  exact = true;
  for (std::int64_t row = 0; row < a.out; ++row) {
    dequantize_row(a, row, meant);
    read_floats(floats, row * a.in, found);
    worst = std::max(worst, largest_difference(meant, found));
    for (std::size_t i = 0; exact && i < meant.size(); ++i) {
      exact = round_through(meant[i], floats.dtype) == found[i];
    }
  }
  return worst;
}

}  // namespace pare::pipeline
