#include "pipeline/quantize/quantize.h"

#include "core/memory.h"
#include "io/file.h"
#include "pipeline/output/code_stats.h"
#include "pipeline/quantize/calibrated_run.h"
#include "pipeline/quantize/inventory.h"
#include "pipeline/quantize/linear_step.h"
#include "pipeline/quantize/recipe.h"
#include "pipeline/quantize/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::pipeline {
namespace {

/// Loaders must not tie a head that became a tensor of its own to the float embedding again.
bool unties_head(const Plan& plan) {
  return plan.graph.has_value() && plan.graph->config.tied_head &&
         plan.linears.quantizes(plan.graph->module(model::Role::head));
}

bool compress_takes(const std::string& file) {
  return file.ends_with(".safetensors") || file.ends_with(".npy");
}

void estimate_packed_sizes(const Context& ctx, const Plan& plan,
                           const std::filesystem::path& folder, RunResult& run) {
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    OutputRecord& output = run.outputs[i];
    const layout::OutputPlan& planned = plan.outputs[i];
    const bool possible = std::any_of(output.files.begin(), output.files.end(), compress_takes);
    if (planned.layout->plain_floats || !possible) continue;
    output.packed_estimate = estimate_packed(ctx, planned, planned.under(folder), output.bytes);
  }
}

/// Engines tie by config.json: a head of its own that is another one counts nowhere.
void warn_of_other_head(const Context& ctx, const Plan& plan) {
  if (!plan.graph.has_value() || !plan.graph->config.tied_head) return;
  const model::Module& head = plan.graph->module(model::Role::head);
  if (plan.source->find(head.weight_name()) == nullptr) return;
  if (same_tensors(float_source(plan), head.weight_name(), head.source)) return;
  ctx.warning(fmt::format(
      "config.json ties the head to the embedding, but {} differs from {}: the embedding counts, "
      "as in engines; set tie_word_embeddings to false if the head is right",
      head.weight_name(), head.source));
}

/// The reports of the outputs, and with several also one for the folder that holds them.
void write_reports(const Plan& plan, const QuantizeResult& result,
                   const std::filesystem::path& folder) {
  const std::string recipe = recipe_text(plan.job.params, params_of(plan.spec));
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    const std::filesystem::path place = plan.outputs[i].under(folder);
    io::write_text(place / "recipe.yaml", recipe, 0640);
    io::write_text(place / "report.json", report_json(plan, result, i), 0640);
  }
  if (plan.outputs.size() > 1) {
    io::write_text(folder / "report.json", outputs_json(plan, result), 0640);
  }
}

}  // namespace

double effective_bits(const Plan& plan, const OutputRecord& output) noexcept {
  return static_cast<double>(output.bytes) * 8 / static_cast<double>(plan.parameters);
}

QuantizeResult run_plan(const Context& ctx, const Plan& plan) {
  warn_of_other_head(ctx, plan);
  trim_heap();
  QuantizeResult result;
  result.seconds_planning = plan.seconds_planning;
  const RunPlan run_plan{.out = plan.job.out,
                         .overwrite = plan.job.run.overwrite,
                         .model = plan.job.model,
                         .companions = &plan.companions,
                         .untie_head = unties_head(plan),
                         .outputs = plan.outputs,
                         .params = &plan.job.params,
                         .floats = float_source(plan)};
  const Producer produce = [&](RunOutputs& outputs) {
    if (!plan.calibration.has_value()) return quantize_without_data(ctx, plan, outputs);
    result.transformed = quantize_block_by_block(ctx, plan, outputs);
  };
  result.run =
      run(ctx, run_plan, produce, [&](const RunResult& done, const std::filesystem::path& folder) {
        result.run = done;
        estimate_packed_sizes(ctx, plan, folder, result.run);
        write_reports(plan, result, folder);
      });
  ctx.event("done", done_json(plan, result));
  return result;
}

}  // namespace pare::pipeline
