#include "pipeline/linear_step.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "io/hash.h"
#include "io/json.h"
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

quant::QuantizedLinear quantize_linear(const Context& ctx, const Plan& plan,
                                       const LinearEntry& linear) {
  const TensorView weight = plan.source->read(linear.weight_source);
  try {
    quant::QuantizedLinear quantized = plan.intent.method->quantize(
        ctx, weight, plan.intent.scheme, weight.dtype, plan.job.params);
    quantized.name = linear.name;
    const std::string bias = linear.name + ".bias";
    if (const auto* info = plan.source->find(bias); info != nullptr) {
      const TensorView view = plan.source->read(bias);
      quantized.bias = Tensor::from<std::byte>(info->dtype, info->shape, view.data);
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
  return static_cast<double>(q.scheme.weight_bits) +
         scales * parts * static_cast<double>(size_of(q.scale_dtype)) * 8 / weights;
}

/// Largest distance of a weight from the source that rounding to the grid can explain: half a step
/// of the coarsest row, and what rounding the scale to its stored type cuts off at the ends.
double error_bound(const quant::QuantizedLinear& q) {
  const float largest = *std::max_element(q.scales.begin(), q.scales.end());
  const double cut_off = q.scale_dtype == DType::f32 ? 1e-3 : 1.0 / 128;
  const double levels = std::ldexp(1.0, q.scheme.weight_bits);
  return static_cast<double>(largest) * (0.5 + levels * cut_off + 1e-3);
}

std::uint64_t hash_of(const void* data, std::size_t bytes) {
  return io::xxh3({static_cast<const std::byte*>(data), bytes});
}

}  // namespace

std::uint64_t content_hash(const quant::QuantizedLinear& linear) {
  const std::array<std::uint64_t, 3> parts = {
      hash_of(linear.codes.data(), linear.codes.size()),
      hash_of(linear.scales.data(), linear.scales.size() * sizeof(float)),
      hash_of(linear.zeros.data(), linear.zeros.size() * sizeof(float))};
  return hash_of(parts.data(), sizeof parts);
}

LinearResult weight_result(const Context& ctx, const Plan& plan, const LinearEntry& linear,
                           const quant::QuantizedLinear& quantized) {
  LinearResult result;
  result.name = linear.name;
  result.out = linear.out;
  result.in = linear.in;
  result.weight =
      quant::weight_distortion(ctx, plan.source->read(linear.weight_source), quantized);
  result.bits_per_weight = bits_per_weight(quantized);
  result.input = quantized.input;
  result.error_bound = error_bound(quantized);
  result.content = content_hash(quantized);
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
