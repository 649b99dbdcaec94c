#include "pipeline/output/fit.h"

#include "layouts/layout.h"

namespace pare::pipeline {

void FitReport::add(const FitReport& other) noexcept {
  scales.add(other.scales);
  refitted_groups += other.refitted_groups;
}

bool fits(const quant::QuantizedLinear& linear, const quant::LinearHeader& planned) noexcept {
  return linear.header() == planned && quant::mismatch_of_parts(linear).empty();
}

layout::ScaleRounding fit(quant::QuantizedLinear& linear, const quant::LinearHeader& planned,
                          const layout::Layout& layout) {
  layout::ScaleRounding rounding;
  const bool other_scales = linear.scale_dtype != planned.scale_dtype;
  if (layout.scale_dtype.has_value() || other_scales) {
    rounding = layout::round_scales(linear, planned.scale_dtype);
  }
  const bool other_bias = linear.bias.has_value() && planned.bias_dtype.has_value() &&
                          linear.bias->dtype() != *planned.bias_dtype;
  if (other_bias) {
    linear.bias =
        store_floats(read_floats(linear.bias->view()), *planned.bias_dtype, linear.bias->shape());
  }
  if (planned.scheme.activations == quant::Activations::none) linear.input.reset();
  linear.header() = planned;
  return rounding;
}

std::int64_t adapt(quant::QuantizedLinear& linear, std::span<const layout::OutputPlan> outputs,
                   const ParamMap& params) {
  std::int64_t groups = 0;
  for (const layout::OutputPlan& output : outputs) {
    if (output.layout->adapt != nullptr) groups += output.layout->adapt(linear, params);
  }
  return groups;
}

}  // namespace pare::pipeline
