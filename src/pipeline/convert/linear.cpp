#include "pipeline/convert/linear.h"

#include "core/error.h"
#include "pipeline/quantize/quantize.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pare::pipeline {
namespace {

Tensor stored_bias(const layout::StoredLinear& stored, DType dtype) {
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

/// How far other scales, in the order of the columns, move the weights of a linear.
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

void FitReport::add(const FitReport& other) noexcept {
  scales.add(other.scales);
  refitted_groups += other.refitted_groups;
}

FitReport fit_linear(layout::StoredLinear& stored, const layout::LinearPlan& planned,
                   const layout::Layout& layout, const ParamMap& params) {
  quant::QuantizedLinear& q = stored.linear;
  FitReport fitting;
  q.scheme = planned.scheme;
  if (q.scheme.activations == quant::Activations::none) q.input.reset();
  if (planned.bias_dtype.has_value()) q.bias = stored_bias(stored, *planned.bias_dtype);
  if (layout.scale_dtype.has_value()) {
    fitting.scales = layout::round_scales(q, *layout.scale_dtype);
  }
  if (layout.adapt != nullptr) fitting.refitted_groups = layout.adapt(q, params);
  return fitting;
}

layout::StoredLinear prepare_linear(const layout::QuantizedCheckpoint& source,
                                     const layout::LinearPlan& planned,
                                     const layout::Layout& layout, const ParamMap& params,
                                     ExpectedLinear& meant) {
  layout::StoredLinear stored = *source.linear(planned.name);
  source.release(planned.name);
  quant::QuantizedLinear& q = stored.linear;
  std::vector<float> scales = q.scales;
  meant.fitting = fit_linear(stored, planned, layout, params);
  const bool in_order = q.group_index.empty() && q.row_scales.empty() && q.power == 1;
  if (meant.fitting.refitted_groups == 0 && (in_order || meant.fitting.scales.changed == 0)) {
    meant.weight_difference = scale_difference(q, scales);
  } else {
    // Codes are large: the source's are read a second time only where scales do not say it all.
    meant.weight_difference = weight_difference(source.linear(planned.name)->linear, q);
    source.release(planned.name);
  }
  meant.content = content_hash(q);
  meant.input = q.input;
  return stored;
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
