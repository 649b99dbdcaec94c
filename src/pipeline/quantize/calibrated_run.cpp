#include "pipeline/quantize/calibrated_run.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "calib/batches.h"
#include "pipeline/output/rewritten.h"
#include "pipeline/quantize/smoothing.h"
#include "pipeline/quantize/source_items.h"

namespace pare::pipeline {
namespace {

std::vector<model::Batch> embed_samples(const Plan& plan, const model::Model& model) {
  const std::span sequences(plan.calibration->sequences);
  std::vector<model::Batch> batches;
  for (const BatchRange& range : batch_ranges(*plan.calibration)) {
    batches.push_back(model::embed(model, sequences.subspan(range.first, range.count)));
  }
  return batches;
}

class CalibratedRun {
 public:
  CalibratedRun(const Context& ctx, const Plan& plan, OutputWriters& writers,
                QuantizeResult& result)
      : ctx_(ctx), plan_(plan), writers_(writers), result_(result), source_weights_(*plan.source),
        weights_(source_weights_), model_{&*plan.graph, &weights_, plan.compute},
        log_(ctx, static_cast<std::int64_t>(plan.quantized_count())) {}

  void run() {
    batches_ = embed_samples(plan_, model_);
    for (std::int64_t i = 0; i < plan_.graph->config.layers; ++i) run_block(i);
    run_head();
  }

 private:
  /// An observer for every site that a statically quantized linear of the block reads.
  calib::StatsTap make_tap(std::int64_t index) const {
    calib::StatsTap tap(fmt::format("block {}", index), plan_.calibration->tokens(), kSampleRows);
    for (const LinearEntry& linear : plan_.linears) {
      if (linear.block != index || !linear.quantized()) continue;
      add_observer(tap.site(model::site_of(*linear.role)), linear);
    }
    return tap;
  }

  void add_observer(calib::SiteStats& stats, const LinearEntry& linear) const {
    const bool is_static = plan_.spec.scheme.activations == quant::Activations::static_tensor;
    if (!is_static || stats.observer != nullptr) return;
    const auto method = static_cast<calib::ActMethod>(plan_.job.params.integer("act_method"));
    stats.observer = calib::make_observer(method, score_of(plan_.scores, linear));
  }

  void run_block(std::int64_t index) {
    ctx_.check_cancelled();
    ctx_.progress({.stage = "calibrating", .item = fmt::format("block {}", index), .done = index,
                   .total = plan_.graph->config.layers, .note = {}});
    model::Block block = model::load_block(ctx_, *plan_.graph, index, weights_, plan_.compute);
    smooth(index, block);
    calib::StatsTap tap = make_tap(index);
    observe(block, tap);
    for (const LinearEntry& linear : plan_.linears) {
      if (linear.block != index || !linear.quantized()) continue;
      ctx_.check_cancelled();
      replace_linear(linear, block.linear(*linear.role), tap.site(model::site_of(*linear.role)));
    }
    for (model::Batch& batch : batches_) {
      ctx_.check_cancelled();
      model::forward_block(ctx_, plan_.graph->config, block, batch, {.compute = plan_.compute},
                           workspace_);
    }
    weights_.clear();
  }

  /// Smooths the block's norms in `weights_` and in the block, and writes what came of it. The
  /// inputs are those of the quantized model so far, as everywhere; inside, the block is float.
  void smooth(std::int64_t index, model::Block& block) {
    const std::vector<model::Site> sites = smoothed_sites(plan_, index);
    if (sites.empty()) return;
    const transform::NormTap tap = observe_norms(index, block);
    const model::BlockNames& names = plan_.graph->blocks[static_cast<std::size_t>(index)];
    const transform::SmoothSettings settings = smooth_settings(plan_);
    for (const model::Site site : sites) {
      ctx_.check_cancelled();
      result_.smoothed.push_back(transform::smooth_norm(ctx_, transform::smooth_site(names, site),
                                                        tap.at(site), settings, weights_));
    }
    block.input_norm = model::load_norm(weights_, names.input_norm);
    block.mlp_norm = model::load_norm(weights_, names.mlp_norm);
    for (const model::LinearRole role : model::kLinearRoles) {
      if (std::find(sites.begin(), sites.end(), model::site_of(role)) == sites.end()) continue;
      block.linear(role) =
          model::pack_linear(ctx_, weights_.linear(ctx_, names.linear(role)), plan_.compute);
    }
    put_made_tensors(ctx_, plan_, index, weights_, writers_, result_.outputs);
  }

  transform::NormTap observe_norms(std::int64_t index, const model::Block& block) {
    const std::int64_t tokens = smooth_tokens(plan_);
    transform::NormTap tap(fmt::format("block {}", index), tokens, smooth_rows(plan_));
    for (const model::Batch& batch : batches_) {
      if (tap.at(model::Site::mlp_input).tokens_seen >= tokens) break;
      ctx_.check_cancelled();
      model::Batch copy = batch;
      model::forward_to_mlp(ctx_, plan_.graph->config, block, copy,
                            {.compute = plan_.compute, .tap = &tap}, workspace_);
    }
    return tap;
  }

  /// Runs copies of the batches through the float block; the inputs stay for the quantized one.
  void observe(const model::Block& block, calib::StatsTap& tap) {
    for (const model::Batch& batch : batches_) {
      ctx_.check_cancelled();
      model::Batch copy = batch;
      model::forward_block(ctx_, plan_.graph->config, block, copy,
                           {.compute = plan_.compute, .tap = &tap}, workspace_);
    }
  }

  /// Quantizes one linear, writes it, and puts what was written in its place in the block.
  void replace_linear(const LinearEntry& entry, model::Linear& in_block,
                      const calib::SiteStats& stats) {
    const FloatLinear source = float_linear(plan_, entry, &weights_);
    quant::QuantizedLinear quantized = quantize_linear(ctx_, plan_, entry, source);
    if (stats.observer != nullptr) quantized.input = static_params(entry, *stats.observer);
    LinearResult result = weight_result(ctx_, entry, source, quantized);
    plan_.source->release(entry.weight_source);
    result.contents = writers_.put_linear(quantized);
    model::Linear replacement = pack_quantized(ctx_, quantized, plan_.compute);
    result.output = output_distortion(ctx_, in_block, replacement, stats);
    in_block = std::move(replacement);
    log_.done(result);
    result_.linears.push_back(std::move(result));
  }

  quant::ActivationParams static_params(const LinearEntry& entry,
                                        const calib::Observer& observer) const {
    for (const layout::Item& item : plan_.outputs.front().plan.items) {
      if (!item.linear.has_value() || item.linear->name != entry.name) continue;
      return activation_params(observer.range(), item.linear->activation_dtype);
    }
    return activation_params(observer.range(), plan_.model_dtype);
  }

  /// The head reads what the last block and the final norm leave.
  void run_head() {
    const LinearEntry& head = plan_.linears.back();
    if (head.role.has_value() || !head.quantized()) return;
    model::Linear linear = model::pack_linear(
        ctx_, weights_.linear(ctx_, model::head_module(*plan_.graph, weights_)), plan_.compute);
    calib::StatsTap tap("the head", plan_.calibration->tokens(), kSampleRows);
    calib::SiteStats& stats = tap.site(model::Site::attention_input);
    add_observer(stats, head);
    const model::Norm norm = model::load_norm(weights_, plan_.graph->final_norm);
    for (const model::Batch& batch : batches_) observe_head(batch, norm, tap);
    replace_linear(head, linear, stats);
  }

  void observe_head(const model::Batch& batch, const model::Norm& norm,
                    calib::StatsTap& tap) const {
    std::int64_t row = 0;
    for (const std::int64_t length : batch.lengths) {
      Matrix x(length, batch.hidden.cols());
      model::apply_norm(ctx_, norm, plan_.graph->config.rms_norm_eps,
                        batch.hidden.view().rows_from(row, length), x.view());
      tap.on_input(model::Site::attention_input, 0, std::as_const(x).view());
      row += length;
    }
  }

  const Context& ctx_;
  const Plan& plan_;
  OutputWriters& writers_;
  QuantizeResult& result_;
  model::FloatWeights source_weights_;
  model::PatchedWeights weights_;
  model::Model model_;
  LinearLog log_;
  std::vector<model::Batch> batches_;
  model::Workspace workspace_;
};

}  // namespace

void run_calibrated(const Context& ctx, const Plan& plan, OutputWriters& writers,
                    QuantizeResult& result) {
  CalibratedRun(ctx, plan, writers, result).run();
}

std::vector<LinearResult> run_data_free(const Context& ctx, const Plan& plan,
                                        OutputWriters& writers) {
  LinearLog log(ctx, static_cast<std::int64_t>(plan.quantized_count()));
  std::vector<LinearResult> results;
  for (const LinearEntry& linear : plan.linears) {
    if (!linear.quantized()) continue;
    ctx.check_cancelled();
    const FloatLinear source = float_linear(plan, linear);
    const quant::QuantizedLinear quantized = quantize_linear(ctx, plan, linear, source);
    LinearResult result = weight_result(ctx, linear, source, quantized);
    plan.source->release(linear.weight_source);
    result.contents = writers.put_linear(quantized);
    log.done(result);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace pare::pipeline
