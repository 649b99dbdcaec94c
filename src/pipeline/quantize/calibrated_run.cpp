#include "pipeline/quantize/calibrated_run.h"

#include "calib/batches.h"
#include "core/memory.h"
#include "pipeline/quantize/inventory.h"
#include "pipeline/quantize/linear_step.h"
#include "pipeline/quantize/transforms.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace pare::pipeline {
namespace {

std::vector<model::Batch> embed_samples(const Plan& plan, const model::Model& model) {
  const std::span sequences(plan.calibration->sequences);
  std::vector<model::Batch> batches;
  for (const calib::BatchRange& range : calib::batch_ranges(*plan.calibration)) {
    batches.push_back(model::embed(model, sequences.subspan(range.first, range.count)));
  }
  return batches;
}

class CalibratedRun {
 public:
  CalibratedRun(const Context& ctx, const Plan& plan, RunOutputs& outputs)
      : ctx_(ctx),
        plan_(plan),
        outputs_(outputs),
        source_weights_(*plan.source),
        weights_(source_weights_),
        model_{&*plan.graph, &weights_, plan.compute},
        log_(ctx, static_cast<std::int64_t>(plan.linears.quantized_count())) {}

  std::vector<transform::TransformedGroup> run() {
    batches_ = embed_samples(plan_, model_);
    for (std::int64_t i = 0; i < plan_.graph->config.layers; ++i) {
      run_block(i);
      trim_heap();  // the buffers of a block leave holes that the next one does not fill
    }
    run_head();
    return std::move(transformed_);
  }

 private:
  /// Statistics for every site that a quantized linear of the list reads.
  calib::StatsTap make_tap(const std::string& what, std::span<const model::Module> linears) const {
    calib::StatsTap tap(ctx_, what, plan_.calibration->tokens(), kSampleRows);
    for (const model::Module& linear : linears) {
      if (!linear.multiplies() || !plan_.linears.quantizes(linear)) continue;
      calib::SiteStats& stats = tap.site(site_of(linear));
      stats.wants_gram = plan_.needs_gram();
      if (!plan_.needs_activation_ranges() || stats.observer != nullptr) continue;
      const auto method = static_cast<calib::ActMethod>(plan_.job.params.integer("act_method"));
      stats.observer = calib::make_observer(method, score_of(plan_.scores, linear));
    }
    return tap;
  }

  /// The head reads what a tap calls the first site: see model::tap_head.
  static model::Site site_of(const model::Module& linear) {
    return linear.site.value_or(model::Site::attention_input);
  }

  void run_block(std::int64_t index) {
    ctx_.check_cancelled();
    ctx_.progress({.stage = "calibrating",
                   .item = fmt::format("block {}", index),
                   .done = index,
                   .total = plan_.graph->config.layers,
                   .note = {}});
    const std::span<const model::Module> modules = plan_.graph->block(index);
    model::Block block = model::load_block(ctx_, *plan_.graph, index, weights_, plan_.compute);
    for (const PlannedTransform& planned : plan_.transforms)
      transform(index, planned, block);
    calib::StatsTap tap = make_tap(fmt::format("block {}", index), modules);
    observe(block, tap);
    for (const model::Module& linear : modules) {
      if (!linear.multiplies() || !plan_.linears.quantizes(linear)) continue;
      ctx_.check_cancelled();
      replace_linear(linear, block.linear(linear), tap.site(site_of(linear)));
    }
    for (model::Batch& batch : batches_) {
      ctx_.check_cancelled();
      model::forward_block(ctx_, plan_.graph->config, block, batch, {.compute = plan_.compute},
                           workspace_);
    }
    weights_.clear();
  }

  /// Changes the block in `weights_` and in memory, and writes what came of it. The inputs are
  /// those of the quantized model so far, as everywhere; inside, the block is float.
  void transform(std::int64_t index, const PlannedTransform& planned, model::Block& block) {
    const std::vector<transform::ScaleGroup>& groups =
        planned.groups[static_cast<std::size_t>(index)];
    if (groups.empty()) return;
    const transform::NormTap tap = observe_norms(index, planned, block);
    const transform::TransformJob job = transform_job(plan_, planned);
    for (const transform::ScaleGroup& group : groups) {
      ctx_.check_cancelled();
      transformed_.push_back(
          planned.transform->apply(ctx_, group, tap.at(group.site), job, weights_));
      reload(group.producer, block);
      for (const model::Module& linear : group.consumers)
        reload(linear, block);
    }
    put_rewritten(index);
  }

  void reload(const model::Module& module, model::Block& block) {
    if (module.kind == model::ModuleKind::norm) {
      block.norms.at(*module.role) = model::load_norm(weights_, module.name);
    } else {
      block.linear(module) = model::pack_linear(ctx_, weights_.linear(ctx_, module), plan_.compute);
    }
  }

  /// Float tensors of the block that a transform made; those of quantized linears become codes.
  void put_rewritten(std::int64_t index) {
    std::set<std::string> made;  // outputs share them; the first decides on their order
    for (const layout::OutputPlan& output : plan_.outputs) {
      for (const layout::RewrittenTensor& tensor : output.rewritten) {
        if (tensor.block != index || !made.insert(tensor.source).second) continue;
        outputs_.put_rewritten(ctx_, tensor.source, weights_.tensor(tensor.source));
      }
    }
  }

  transform::NormTap observe_norms(std::int64_t index, const PlannedTransform& planned,
                                   const model::Block& block) {
    const transform::SampleSize& samples = planned.samples;
    transform::NormTap tap(fmt::format("block {}", index), samples.tokens, samples.rows);
    for (const model::Batch& batch : batches_) {
      if (tap.at(model::Site::mlp_input).tokens_seen >= samples.tokens) break;
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
  void replace_linear(const model::Module& module, model::Linear& in_block,
                      const calib::SiteStats& stats) {
    const quant::FloatLinear source = weights_.linear(ctx_, module);
    const quant::InputStats input{stats.gram.view(), stats.tokens_seen};
    quant::QuantizedLinear quantized =
        quantize_linear(ctx_, plan_, module, source, stats.wants_gram ? &input : nullptr);
    if (stats.observer != nullptr) {
      quantized.input = activation_params(stats.observer->range(), quantized.activation_dtype);
    }
    LinearRecord record = finish_linear(ctx_, plan_, source, quantized);
    weights_.release(module);
    model::Linear replacement = pack_quantized(ctx_, quantized, plan_.compute);
    record.output = output_distortion(ctx_, in_block, replacement, stats);
    in_block = std::move(replacement);
    log_.done(record);
    outputs_.put_linear(std::move(quantized), std::move(record));
  }

  /// The head reads what the last block and the final norm leave.
  void run_head() {
    const model::Module& head = plan_.graph->module(model::Role::head);
    if (!plan_.linears.quantizes(head)) return;
    model::Linear linear = model::pack_linear(ctx_, weights_.linear(ctx_, head), plan_.compute);
    calib::StatsTap tap = make_tap("the head", {&head, 1});
    for (const model::Batch& batch : batches_)
      model::tap_head(ctx_, model_, batch, tap);
    replace_linear(head, linear, tap.site(site_of(head)));
  }

  const Context& ctx_;
  const Plan& plan_;
  RunOutputs& outputs_;
  model::FloatWeights source_weights_;
  model::PatchedWeights weights_;
  model::Model model_;
  LinearLog log_;
  std::vector<model::Batch> batches_;
  model::Workspace workspace_;
  std::vector<transform::TransformedGroup> transformed_;
};

}  // namespace

std::vector<transform::TransformedGroup> quantize_block_by_block(const Context& ctx,
                                                                 const Plan& plan,
                                                                 RunOutputs& outputs) {
  return CalibratedRun(ctx, plan, outputs).run();
}

}  // namespace pare::pipeline
