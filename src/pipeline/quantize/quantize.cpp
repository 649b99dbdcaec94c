#include "pipeline/quantize/quantize.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/stopwatch.h"
#include "io/file.h"
#include "io/json.h"
#include "io/output_dir.h"
#include "pipeline/quantize/calibrated_run.h"
#include "pipeline/output/model_files.h"
#include "pipeline/output/finite.h"
#include "pipeline/output/rewritten.h"
#include "pipeline/quantize/recipe.h"
#include "pipeline/quantize/report.h"
#include "pipeline/output/verify.h"

namespace pare::pipeline {
namespace {

void copy_tensors(const Context& ctx, const Plan& plan, std::size_t output,
                  OutputWriters& writers) {
  const std::vector<CopiedTensor>& copied = plan.outputs[output].copied;
  std::int64_t done = 0;
  for (const CopiedTensor& copy : copied) {
    ctx.check_cancelled();
    ctx.progress({.stage = "copying", .item = copy.name, .done = done++,
                  .total = static_cast<std::int64_t>(copied.size()), .note = {}});
    try {
      refuse_not_finite(ctx, plan.source->read(copy.source));
      writers.put_tensor(output, copy.name, plan.source->read(copy.source));
    } catch (Error& error) {
      throw error.at(fmt::format("{} in {}", copy.source, plan.source->file_of(copy.source)));
    }
    plan.source->release(copy.source);
  }
}

/// Weight files with their headers; descriptions and indexes say nothing about bits per weight.
std::size_t weight_bytes_on_disk(const std::filesystem::path& folder,
                                 const std::vector<std::string>& files) {
  std::size_t sum = 0;
  for (const std::string& name : files) {
    if (!name.ends_with(".json")) sum += std::filesystem::file_size(folder / name);
  }
  return sum;
}

/// Quantizes, and writes the weight files of all outputs.
void write_weights(const Context& ctx, const Plan& plan, const std::filesystem::path& folder,
                   QuantizeResult& result) {
  OutputWriters writers(plan, folder);
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) copy_tensors(ctx, plan, i, writers);
  if (plan.calibration.has_value()) {
    run_calibrated(ctx, plan, writers, result);
  } else {
    result.linears = run_data_free(ctx, plan, writers);
  }
  std::vector<std::vector<std::string>> files = writers.finish();
  for (std::size_t i = 0; i < files.size(); ++i) result.outputs[i].files = std::move(files[i]);
}

/// Everything beside the weights, then the proof. config.json comes first: it says how some layouts
/// are to be read.
void complete_output(const Context& ctx, const Plan& plan, std::size_t index,
                     const std::filesystem::path& folder, QuantizeResult& result) {
  const Output& output = plan.outputs[index];
  OutputResult& written = result.outputs[index];
  write_model_files(plan, output, folder);
  written.verified_tensors = verify_output(ctx, plan, index, result.linears, folder);
  verify_made(output, written.made, folder);
  written.bytes = weight_bytes_on_disk(folder, written.files);
  written.effective_bits =
      static_cast<double>(written.bytes) * 8 / static_cast<double>(plan.parameters);
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

QuantizeResult run_plan(const Context& ctx, const Plan& plan) {
  const Stopwatch watch;
  QuantizeResult result;
  result.outputs.resize(plan.outputs.size());
  io::OutputDir out(plan.job.out, plan.job.run.overwrite);
  write_weights(ctx, plan, out.path(), result);
  result.seconds_quantizing = watch.seconds();
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    complete_output(ctx, plan, i, plan.outputs[i].under(out.path()), result);
  }
  result.seconds_verifying = watch.seconds() - result.seconds_quantizing;
  result.peak_rss = peak_rss_bytes();
  result.seconds_planning = plan.seconds_planning;
  result.seconds_total = plan.seconds_planning + watch.seconds();
  write_reports(plan, result, out.path());
  ctx.check_cancelled();
  out.commit();
  ctx.event("done", done_json(plan, result));
  return result;
}

}  // namespace pare::pipeline
