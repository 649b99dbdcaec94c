// Round to nearest on the grid that spans the smallest and largest weight of a matrix, row or
// group: no data needed, one pass over the weight (two for one scale per matrix).
#include "pare/error.h"
#include "quant/method.h"
#include "quant/scale_of_range.h"
#include "quant/uniform/uniform.h"

#include <fmt/format.h>

namespace pare::quant {
namespace {

QuantizedLinear quantize(const Context& ctx, const MethodInput& input) {
  const auto& [weight, scheme, scale_dtype, params, stats] = input;
  const std::string_view reason = refuses_uniform(scheme);
  if (!reason.empty()) {
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("minmax cannot do {}: {}", scheme.text(), reason));
  }
  return quantize_uniform(ctx, weight, scheme, scale_dtype, [&](float min, float max) {
    return scale_of_range(scheme, min, max, scale_dtype);
  });
}

}  // namespace

extern const Method minmax_method;
constinit const Method minmax_method = {
    "minmax",
    "round to nearest between the smallest and the largest weight",
    "Jacob et al., arXiv:1712.05877",
    Needs::weights_only,
    {},
    refuses_uniform,
    quantize,
};

}  // namespace pare::quant
