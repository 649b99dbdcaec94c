#include "layouts/ascend/math/contradiction.h"

#include "layouts/ascend/math/scale_bias.h"
#include "layouts/ascend/math/static_algebra.h"

namespace pare::layout {

std::string contradiction(const LoadedLinear& linear) {
  const quant::QuantizedLinear& q = linear.linear;
  if (q.input.has_value()) {
    const std::vector<float> deq = deq_scales(q);
    const std::vector<std::int32_t> quant_bias = quant_biases(q, deq);
    if (linear.effective_bias != effective_bias(q, quant_bias, deq)) {
      return "quant_bias or deq_scale differs";
    }
  }
  if (linear.scale_bias.empty()) return "";
  const std::int64_t runs = static_cast<std::int64_t>(linear.scale_bias.size()) / q.out;
  return linear.scale_bias == scale_biases(q, runs) ? "" : "scale_bias differs";
}

}  // namespace pare::layout
