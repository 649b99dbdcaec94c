// Sparse quantization with one limit for the whole tensor: larger weights are outliers, and use the
// int8 grid of the scale that puts all others on 4 bits. What comes out compresses well.
#include "pare/error.h"
#include "quant/method.h"
#include "quant/scale_of_range.h"
#include "quant/sparse/outliers.h"
#include "quant/sparse/power_quant.h"
#include "quant/sparse/sparse_options.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string>

namespace pare::quant {
namespace {

constexpr std::array kParams = {
    kFractionParam,
    ParamSpec{.name = "nonuniform",
              .type = ParamType::flag,
              .help = "round a power of the weights, found by search, so that small weights get "
                      "finer steps"},
    ParamSpec{.name = "pr",
              .type = ParamType::number,
              .default_value = "1",
              .help = "chance that a value is quantized during calibration; 1 and above always"},
};

std::string_view refuses(const Scheme& scheme) noexcept {
  if (scheme.form != CodeForm::outliers) return "it makes sparse weights only: w8a8s";
  if (scheme.granularity == Granularity::group) {
    return "sparse scales are per channel or per tensor: the integer sum over a row has one scale";
  }
  if (!scheme.symmetric) return "its codes are symmetric around 0";
  return "";
}

std::string check(const ParamMap& params) {
  const double pr = params.number("pr", 1);
  if (pr < 1) {
    throw Error(ErrorCode::bad_option_value, fmt::format("pr = {}", pr))
        .hint(
            "below 1 the result would depend on chance: the original draws for every value "
            "whether it is quantized, and has no seed; leave it out, or give 1 or more");
  }
  return fraction_warning(params);
}

QuantizedLinear quantize(const Context& ctx, const MethodInput& input) {
  const auto& [weight, scheme, scale_dtype, params, stats] = input;
  const std::string_view reason = refuses(scheme);
  if (!reason.empty()) {
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("co-sparse cannot do {}: {}", scheme.text(), reason));
  }
  check_weight(weight, scheme, scale_dtype);
  check(params);
  QuantizedLinear q = empty_sparse(weight, scheme);
  const OutlierOptions options = outlier_options(scheme, params);
  if (params.flag("nonuniform")) {
    const float limit = tensor_limit(ctx, weight, options.fraction);
    q.exponent = find_power(ctx, weight, {limit, options.per_channel});
  }
  const auto write = [&](std::int64_t row, std::span<const float> values,
                         const kernels::SplitGrid& grid) {
    write_split_codes(values, grid, q.exponent, q.codes.data() + row * q.in);
  };
  keep_scales(tensor_outliers(ctx, weight, options, q.exponent, write), q);
  return q;
}

bool has_exponent(const ParamMap& params) { return params.flag("nonuniform"); }

}  // namespace

extern const Method co_sparse_method;
constinit const Method co_sparse_method = {
    .id = "co-sparse",
    .summary = "sparse: 4-bit codes, and 8-bit ones for the largest weights of the tensor",
    .source = "docs/sparse-quantization.md, co-sparse; nonuniform: Yvinec et al., arXiv:2301.09858",
    .params = kParams,
    .refuses = refuses,
    .quantize = quantize,
    .may_clip = true,
    .check = check,
    .has_exponent = has_exponent,
};

}  // namespace pare::quant
