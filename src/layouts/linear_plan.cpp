// The plan of a linear that is already in hand.
#include "core/error.h"
#include "layouts/layout.h"

#include <string>

namespace pare::layout {

LinearPlan plan_of(const quant::QuantizedLinear& linear) {
  LinearPlan plan;
  plan.name = linear.name;
  plan.scheme = linear.scheme;
  plan.out = linear.out;
  plan.in = linear.in;
  plan.scale_dtype = linear.scale_dtype;
  if (linear.bias.has_value()) plan.bias_dtype = linear.bias->dtype();
  plan.has_exponent = linear.power != 1;
  plan.act_order = !linear.group_index.empty();
  if (!linear.input.has_value()) return plan;
  plan.activation_dtype = linear.input->stored_dtype;
  plan.symmetric_input = linear.input->zero_point == 0;
  return plan;
}

LinearPlan QuantizedCheckpoint::plan(std::string_view module) const {
  const auto stored = linear(module);
  if (stored.has_value()) return plan_of(stored->linear);
  throw Error(ErrorCode::tensor_missing, std::string(module) + " is not quantized")
      .hint("ask only for modules that `linears` names");
}

}  // namespace pare::layout
