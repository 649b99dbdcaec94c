#include "pipeline/quantize/linear_step.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "core/error.h"
#include "layouts/ascend/math/static_algebra.h"
#include "io/hash.h"
#include "io/json.h"
#include "pipeline/quantize/source_items.h"
#include "quant/affine.h"

namespace pare::pipeline {

void LinearLog::done(const LinearResult& result) {
  const double db = result.output.has_value() ? result.output->sqnr_db() : result.weight.sqnr_db();
  const std::lock_guard lock(mutex_);
  ++count_;
  if (db < worst_db_) {
    worst_db_ = db;
    worst_ = result.name;
  }
  ctx_.progress({.stage = "quantizing",
                 .item = result.name,
                 .done = count_,
                 .total = total_,
                 .note = fmt::format("worst {} {:.1f} dB", worst_, worst_db_)});
  io::Json event = {{"name", result.name}, {"weight_sqnr_db", result.weight.sqnr_db()},
                    {"done", count_}, {"total", total_}};
  if (result.output.has_value()) event["output_sqnr_db"] = result.output->sqnr_db();
  ctx_.event("layer", event.dump());
}

quant::ActivationParams activation_params(calib::Range range, DType stored) {
  const quant::AffineParams exact = quant::affine_params(8, range.min, range.max, false);
  quant::ActivationParams params;
  params.stored_dtype = stored;
  params.scale = round_through(exact.scale, stored);
  if (!(params.scale > 0) || !std::isfinite(params.scale)) {
    throw Error(ErrorCode::out_of_range,
                fmt::format("activation scale {} does not fit {}", exact.scale, name_of(stored)))
        .hint("the calibration range is too small or too large; try --act-method 2 or other text");
  }
  const float zero = std::nearbyint(-std::min(range.min, 0.0F) / params.scale) - 128;
  params.zero_point = std::clamp(zero, -128.0F, 127.0F);
  return params;
}

FloatLinear float_linear(const Plan& plan, const LinearEntry& linear,
                         const model::PatchedWeights* patches) {
  const auto read = [&](const std::string& name) {
    const Tensor* patch = patches != nullptr ? patches->patch(name) : nullptr;
    return patch != nullptr ? patch->view() : plan.source->read(name);
  };
  const std::string bias = linear.name + ".bias";
  FloatLinear found{.weight = read(linear.weight_source), .bias = std::nullopt};
  const bool patched = patches != nullptr && patches->patch(bias) != nullptr;
  if (patched || plan.source->find(bias) != nullptr) found.bias = read(bias);
  return found;
}

quant::QuantizedLinear quantize_linear(const Context& ctx, const Plan& plan,
                                       const LinearEntry& linear, const FloatLinear& source) {
  try {
    quant::QuantizedLinear quantized = plan.spec.method->quantize(
        ctx, source.weight, plan.spec.scheme,
        scale_dtype(plan.spec, source.weight.dtype), plan.job.params);
    quantized.name = linear.name;
    if (const auto& bias = source.bias; bias.has_value()) {
      quantized.bias = Tensor::from<std::byte>(bias->dtype, bias->shape, bias->data);
    }
    for (const layout::Layout* layout : plan.spec.layouts) {
      if (layout->adapt != nullptr) layout->adapt(quantized, plan.job.params);
    }
    return quantized;
  } catch (Error& error) {
    throw error.at(fmt::format("{} in {}", linear.weight_source,
                               plan.source->file_of(linear.weight_source)));
  }
}

namespace {

/// Bits of codes, scales and zeros over the number of weights.
double bits_per_weight(const quant::QuantizedLinear& q) {
  const auto weights = static_cast<double>(q.out * q.in);
  const auto scales = static_cast<double>(q.scales.size());
  const double parts = q.scheme.symmetric ? 1 : 2;
  const double values = scales * parts + static_cast<double>(q.row_scales.size());
  return static_cast<double>(q.scheme.weight_bits) +
         values * static_cast<double>(size_of(q.scale_dtype)) * 8 / weights;
}

/// Largest distance of a weight from the source that rounding to the grid can explain: half a step
/// of the coarsest row, and what rounding the scale to its stored type cuts off at the ends.
/// Means nothing for methods that clip, and for codes that are linear in a power of the weight.
double error_bound(const quant::QuantizedLinear& q) {
  if (q.scheme.grid != quant::CodeForm::uniform) return std::numeric_limits<double>::infinity();
  const float largest = *std::max_element(q.scales.begin(), q.scales.end());
  const double cut_off = q.scale_dtype == DType::f32 ? 1e-3 : 1.0 / 128;
  const double levels = std::ldexp(1.0, q.scheme.weight_bits);
  return static_cast<double>(largest) * (0.5 + levels * cut_off + 1e-3);
}

template <typename T>
std::uint64_t hash_of(std::span<const T> values) {
  return io::xxh3(std::as_bytes(values));
}

/// The scales as far as files hold them: sparse ones only in products with the input scale.
std::vector<float> stored_scales(const quant::QuantizedLinear& q) {
  const bool in_products = q.scheme.grid == quant::CodeForm::outliers && q.input.has_value();
  return in_products ? layout::deq_scales(q) : q.scales;
}

}  // namespace

std::uint64_t content_hash(const quant::QuantizedLinear& linear) {
  const std::vector<float> scales = stored_scales(linear);
  std::vector<float> bias;
  if (linear.bias.has_value()) bias = read_floats(linear.bias->view());
  const std::array<std::uint64_t, 7> parts = {
      hash_of<std::int8_t>(linear.codes), hash_of<float>(scales),
      hash_of<float>(linear.zeros),       hash_of<float>(linear.row_scales),
      hash_of<float>(bias),               std::bit_cast<std::uint32_t>(linear.power),
      hash_of<std::int32_t>(linear.group_index)};
  return hash_of<std::uint64_t>(parts);
}

LinearResult weight_result(const Context& ctx, const LinearEntry& linear, const FloatLinear& source,
                           const quant::QuantizedLinear& quantized) {
  LinearResult result;
  result.name = linear.name;
  result.out = linear.out;
  result.in = linear.in;
  result.weight = quant::weight_distortion(ctx, source.weight, quantized);
  result.bits_per_weight = bits_per_weight(quantized);
  result.codes = code_stats(count_codes(ctx, quantized.codes));
  result.input = quantized.input;
  result.error_bound = error_bound(quantized);
  return result;
}

model::Linear pack_quantized(const Context& ctx, const quant::QuantizedLinear& quantized,
                             kernels::Compute compute) {
  Matrix weight(quantized.out, quantized.in);
  quant::dequantize(ctx, quantized, weight.view());
  model::Linear linear;
  linear.weight = kernels::PackedWeight(ctx, std::as_const(weight).view(), compute);
  if (quantized.bias.has_value()) linear.bias = read_floats(quantized.bias->view());
  linear.input.kind = quantized.scheme.activations;
  if (quantized.input.has_value()) {
    linear.input.scale = quantized.input->scale;
    linear.input.zero_point = quantized.input->zero_point;
  }
  return linear;
}

quant::Distortion output_distortion(const Context& ctx, const model::Linear& original,
                                    const model::Linear& quantized,
                                    const calib::SiteStats& stats) {
  const MatrixView<const float> rows = stats.rows.view().rows_from(0, stats.rows_kept);
  Matrix expected(rows.rows, original.weight.out());
  Matrix found(rows.rows, original.weight.out());
  model::apply_linear(ctx, original, rows, expected.view());
  model::apply_linear(ctx, quantized, rows, found.view());
  quant::Distortion distortion;
  distortion.add(expected.values(), found.values());
  return distortion;
}

}  // namespace pare::pipeline
