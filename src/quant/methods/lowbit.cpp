// Low-bit quantization: for sparse weights outliers are found row by row, by rank or by standard
// deviation; other schemes get plain rounding of the range that the weights have.
#include "kernels/quantize.h"
#include "pare/error.h"
#include "quant/method.h"
#include "quant/scale_of_range.h"
#include "quant/sparse/lowbit_fake_quantize.h"
#include "quant/sparse/outliers.h"
#include "quant/sparse/sparse_options.h"
#include "quant/uniform/uniform.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string>

namespace pare::quant {
namespace {

constexpr std::array kParams = {
    ParamSpec{.name = "use_sigma",
              .type = ParamType::flag,
              .help = "outliers are weights beyond sigma_factor standard deviations of their row's "
                      "magnitudes, instead of a fraction of the row"},
    ParamSpec{.name = "sigma_factor",
              .type = ParamType::number,
              .default_value = "3.0",
              .min = 3.0,
              .max = 4.0,
              .help = "with use_sigma: smaller means more outliers, better accuracy, larger files"},
    kFractionParam,
};

std::string_view refuses(const Scheme& scheme) noexcept {
  if (scheme.form == CodeForm::two_stage) return "two stages of scales are method two-stage";
  if (scheme.form == CodeForm::uniform) {
    const std::string_view reason = refuses_uniform(scheme);
    if (!reason.empty()) return reason;
    if (scheme.granularity == Granularity::tensor && !scheme.symmetric) {
      return "asymmetric weights have a zero point for each row or group";
    }
    return "";
  }
  if (scheme.granularity == Granularity::group) {
    return "sparse scales are per channel or per tensor: the integer sum over a row has one scale";
  }
  if (!scheme.symmetric) return "sparse codes are symmetric around 0";
  return "";
}

std::string check(const ParamMap& params) {
  return params.flag("use_sigma") ? "" : fraction_warning(params);
}

/// Codes are plain roundings with the inlier scale: the same as split codes, but that outliers
/// below -127.5 steps get -128.
QuantizedLinear quantize_sparse(const Context& ctx, const TensorView& weight, const Scheme& scheme,
                                DType scale_dtype, const ParamMap& params) {
  check_weight(weight, scheme, scale_dtype);
  QuantizedLinear q = empty_sparse(weight, scheme);
  const OutlierOptions options = outlier_options(scheme, params);
  const RowRule rule{params.flag("use_sigma"), params.number("sigma_factor", 3)};
  const auto write = [&](std::int64_t row, std::span<const float> values,
                         const kernels::SplitGrid& grid) {
    kernels::quantize_row(DType::f32, std::as_bytes(values).data(), q.in, grid.inlier_scale, 0,
                          -128, 127, q.codes.data() + row * q.in);
  };
  keep_scales(row_outliers(ctx, weight, options, rule, write), q);
  return q;
}

QuantizedLinear quantize(const Context& ctx, const MethodInput& input) {
  const auto& [weight, scheme, scale_dtype, params, stats] = input;
  const std::string_view reason = refuses(scheme);
  if (!reason.empty()) {
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("lowbit cannot do {}: {}", scheme.text(), reason));
  }
  if (scheme.form == CodeForm::outliers) {
    return quantize_sparse(ctx, weight, scheme, scale_dtype, params);
  }
  // A row is a group as wide as the row: the range is the weights' own, not widened to hold 0.
  Scheme range_scheme = scheme;
  range_scheme.granularity = Granularity::group;
  return quantize_uniform(ctx, weight, scheme, scale_dtype, [&](float min, float max) {
    return scale_of_range(range_scheme, min, max, scale_dtype);
  });
}

/// At 3 standard deviations whatever the options for the files are, as the reference searches.
void fake_quantize(const Context& ctx, const Scheme& scheme, MatrixView<float> weight) {
  LowbitOptions options;
  options.bits = scheme.form == CodeForm::outliers ? 4 : scheme.weight_bits;
  options.per_channel = scheme.granularity != Granularity::tensor;
  fake_quantize_lowbit(ctx, weight, options, weight);
}

}  // namespace

extern const Method lowbit_method;
constinit const Method lowbit_method = {
    .id = "lowbit",
    .summary = "sparse with outliers found row by row; plain rounding for other schemes",
    .source = "docs/sparse-quantization.md, lowbit",
    .params = kParams,
    .refuses = refuses,
    .quantize = quantize,
    .may_clip = true,
    .check = check,
    .level_by_largest_input = true,
    .fake_quantize = fake_quantize,
};

}  // namespace pare::quant
