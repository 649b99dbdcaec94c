#include "pipeline/quantize/linear_step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "io/json.h"
#include "pare/error.h"
#include "pipeline/output/fit.h"
#include "pipeline/quantize/inventory.h"
#include "quant/affine.h"

namespace pare::pipeline {

void LinearLog::done(const LinearRecord& result) {
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
                                       const model::Module& linear,
                                       const quant::FloatLinear& source,
                                       const quant::InputStats* stats) {
  try {
    const DType stored = scale_dtype(plan.spec, source.weight.dtype);
    quant::QuantizedLinear quantized = plan.spec.method->quantize(
        ctx, {source.weight, plan.spec.scheme, stored, plan.job.params, stats});
    quant::LinearHeader header = header_of(plan, linear);
    header.scale_dtype = quantized.scale_dtype;
    header.act_order = !quantized.group_index.empty();
    quantized.header() = std::move(header);
    if (const auto& bias = source.bias; bias.has_value()) {
      quantized.bias = Tensor::from<std::byte>(bias->dtype, bias->shape, bias->data);
    }
    return quantized;
  } catch (Error& error) {
    throw error.at(
        fmt::format("{} in {}", linear.source, plan.source->file_of(linear.source)));
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
  if (q.scheme.form != quant::CodeForm::uniform) return std::numeric_limits<double>::infinity();
  const float largest = *std::max_element(q.scales.begin(), q.scales.end());
  const double cut_off = q.scale_dtype == DType::f32 ? 1e-3 : 1.0 / 128;
  const double levels = std::ldexp(1.0, q.scheme.weight_bits);
  return static_cast<double>(largest) * (0.5 + levels * cut_off + 1e-3);
}

float smallest_of(const std::vector<float>& values) {
  return values.empty() ? 1.0F : *std::min_element(values.begin(), values.end());
}

/// Weights so small that no scale is: most codes are 0 where the weights are not. Single rows like
/// that are dead channels, a whole linear is none.
void refuse_underflow(const quant::QuantizedLinear& q, const quant::Distortion& weight) {
  const float smallest = std::min(smallest_of(q.scales), smallest_of(q.row_scales));
  const bool most_is_lost = weight.noise > 0.5 * weight.signal;
  if (smallest > quant::kSmallestScale || !most_is_lost) return;
  throw Error(ErrorCode::out_of_range,
              fmt::format("the weights of {} need scales below {:.3g}, the smallest there is; most "
                          "of them would become 0",
                          q.name, quant::kSmallestScale))
      .hint(fmt::format("keep it in float with --disable-names \"{}\"", q.name));
}

}  // namespace

LinearRecord finish_linear(const Context& ctx, const Plan& plan, const quant::FloatLinear& source,
                           quant::QuantizedLinear& quantized) {
  LinearRecord record;
  record.fit.refitted_groups = adapt(quantized, plan.outputs, plan.job.params);
  record.name = quantized.name;
  record.out = quantized.out;
  record.in = quantized.in;
  record.weight = quant::weight_distortion(ctx, source.weight, quantized);
  refuse_underflow(quantized, record.weight);
  record.bits_per_weight = bits_per_weight(quantized);
  record.codes = code_stats(count_codes(ctx, quantized.codes));
  record.input = quantized.input;
  const bool may_clip = plan.spec.method->may_clip || record.fit.refitted_groups > 0;
  if (!may_clip) record.error_bound = error_bound(quantized);
  return record;
}

void quantize_without_data(const Context& ctx, const Plan& plan, RunOutputs& outputs) {
  const model::FloatWeights weights(*plan.source);
  LinearLog log(ctx, static_cast<std::int64_t>(plan.linears.quantized_count()));
  for (const model::Module& linear : plan.linears.quantized()) {
    ctx.check_cancelled();
    const quant::FloatLinear source = weights.linear(ctx, linear);
    quant::QuantizedLinear quantized = quantize_linear(ctx, plan, linear, source);
    LinearRecord record = finish_linear(ctx, plan, source, quantized);
    weights.release(linear);
    log.done(record);
    outputs.put_linear(std::move(quantized), std::move(record));
  }
}

model::Linear pack_quantized(const Context& ctx, const quant::QuantizedLinear& quantized,
                             kernels::Compute compute) {
  Matrix weight(quantized.out, quantized.in);
  quant::dequantize(ctx, quantized, weight.view());
  model::Linear linear;
  linear.weight = kernels::PackedWeight(ctx, std::as_const(weight).view(), compute);
  if (quantized.bias.has_value()) linear.bias = read_floats(quantized.bias->view());
  linear.activations = quantized.scheme.activations;
  linear.input = quantized.input.value_or(quant::ActivationParams{});
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
