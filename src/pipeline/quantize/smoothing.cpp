#include "pipeline/quantize/smoothing.h"

#include "core/error.h"
#include "quant/sparse/lowbit_fake_quantize.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::pipeline {
namespace {

/// What the search compares with: the low-bit method's outlier split at 3 deviations whatever the
/// options for the files are, as in the reference; any other method by its codes.
transform::FakeQuantizeWeight fake_quantize_with(const Plan& plan) {
  const quant::Scheme& scheme = plan.spec.scheme;
  if (plan.spec.method->id == "lowbit") {
    quant::LowbitOptions options;
    options.bits = scheme.grid == quant::CodeForm::outliers ? 4 : scheme.weight_bits;
    options.per_channel = scheme.granularity != quant::Granularity::tensor;
    return [options](const Context& ctx, MatrixView<float> weight) {
      quant::fake_quantize_lowbit(ctx, weight, options, weight);
    };
  }
  return [&plan](const Context& ctx, MatrixView<float> weight) {
    const std::span<const float> values(weight.data,
                                        static_cast<std::size_t>(weight.rows * weight.cols));
    const TensorView view{DType::f32, Shape{weight.rows, weight.cols}, std::as_bytes(values)};
    quant::dequantize(
        ctx,
        plan.spec.method->quantize(ctx, view, plan.spec.scheme, DType::f32, plan.job.params),
        weight);
  };
}

std::size_t smooth_samples(const Plan& plan) {
  const std::size_t all = plan.calibration->sequences.size();
  const auto asked = static_cast<std::size_t>(plan.job.params.integer("smooth_samples"));
  return asked > 0 ? std::min(asked, all) : all;
}

}  // namespace

void check_smoothing(const ParamMap& params, const QuantSpec& spec) {
  if (!params.flag("do_smooth")) {
    for (const std::string_view name : {"smooth_samples", "smooth_alpha"}) {
      if (!params.given(name)) continue;
      throw Error(ErrorCode::bad_option_value,
                  fmt::format("{} means nothing without do_smooth", name))
          .hint("add --do-smooth, or leave it out");
    }
    return;
  }
  if (spec.scheme.activations == quant::Activations::static_tensor) return;
  throw Error(ErrorCode::scheme_not_supported,
              fmt::format("do_smooth with {}", spec.scheme.text()))
      .hint("smoothing is for activations with one scale from calibration: w8a8 and w8a8s");
}

std::vector<model::Site> smoothed_sites(const Plan& plan, std::int64_t block) {
  std::vector<model::Site> sites;
  if (!plan.job.params.flag("do_smooth")) return sites;
  for (const model::Site site : transform::kNormSites) {
    const bool wanted =
        std::any_of(plan.linears.begin(), plan.linears.end(), [&](const LinearEntry& linear) {
          return linear.block == block && linear.quantized() && linear.role.has_value() &&
                 model::site_of(*linear.role) == site;
        });
    if (wanted) sites.push_back(site);
  }
  return sites;
}

std::int64_t smooth_tokens(const Plan& plan) {
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < smooth_samples(plan); ++i) {
    tokens += static_cast<std::int64_t>(plan.calibration->sequences[i].size());
  }
  return tokens;
}

std::int64_t smooth_rows(const Plan& plan) {
  const std::int64_t tokens = smooth_tokens(plan);
  return smooth_samples(plan) == 1 ? tokens : std::min(tokens, transform::kSearchRows);
}

transform::SmoothSettings smooth_settings(const Plan& plan) {
  transform::SmoothSettings settings;
  settings.shift = smoothing_shifts(plan);
  settings.row_by_row = plan.spec.scheme.granularity != quant::Granularity::tensor;
  settings.fake_quantize = fake_quantize_with(plan);
  if (plan.job.params.given("smooth_alpha")) {
    settings.alpha = static_cast<float>(plan.job.params.number("smooth_alpha"));
  }
  return settings;
}

bool smoothing_shifts(const Plan& plan) {
  const std::vector<const layout::Layout*>& layouts = plan.spec.layouts;
  return std::all_of(layouts.begin(), layouts.end(), [](const layout::Layout* layout) {
    return layout->norm_bias != layout::NormBias::none;
  });
}

}  // namespace pare::pipeline
