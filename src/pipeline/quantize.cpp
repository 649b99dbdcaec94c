#include "pipeline/quantize.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/stopwatch.h"
#include "io/file.h"
#include "io/json.h"
#include "io/output_dir.h"
#include "pipeline/calibrated_run.h"
#include "pipeline/companions.h"
#include "pipeline/finite.h"
#include "pipeline/made_tensors.h"
#include "pipeline/recipe.h"
#include "pipeline/report.h"
#include "pipeline/verify.h"

namespace pare::pipeline {
namespace {

void copy_tensors(const Context& ctx, const Plan& plan, export_::ExportWriter& writer) {
  std::int64_t done = 0;
  for (const CopiedTensor& copy : plan.copied) {
    ctx.check_cancelled();
    ctx.progress({.stage = "copying", .item = copy.name, .done = done++,
                  .total = static_cast<std::int64_t>(plan.copied.size()), .note = {}});
    try {
      refuse_not_finite(ctx, plan.source->read(copy.source));
      writer.put_tensor(copy.name, plan.source->read(copy.source));
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

}  // namespace

QuantizeResult run_plan(const Context& ctx, const Plan& plan) {
  const Stopwatch watch;
  QuantizeResult result;
  io::OutputDir out(plan.job.out, plan.job.run.overwrite);
  {
    const auto writer = plan.intent.exporter->create(plan.output, out.path(), plan.job.params);
    copy_tensors(ctx, plan, *writer);
    if (plan.calibration.has_value()) {
      run_calibrated(ctx, plan, *writer, result);
    } else {
      result.linears = run_data_free(ctx, plan, *writer);
    }
    result.files = writer->finish();
  }
  result.seconds_quantizing = watch.seconds();
  write_companions(plan, out.path());  // config.json says how some layouts are to be read
  result.verified_tensors = verify_output(ctx, plan, result.linears, out.path());
  verify_made(plan, result.made, out.path());
  result.seconds_verifying = watch.seconds() - result.seconds_quantizing;
  result.output_bytes = weight_bytes_on_disk(out.path(), result.files);
  result.effective_bits =
      static_cast<double>(result.output_bytes) * 8 / static_cast<double>(plan.parameters);
  io::write_text(out.path() / "recipe.yaml", recipe_text(plan.job.params, params_of(plan.intent)), 0640);
  result.peak_rss = peak_rss_bytes();
  result.seconds_planning = plan.seconds_planning;
  result.seconds_total = plan.seconds_planning + watch.seconds();
  io::write_text(out.path() / "report.json", report_json(plan, result), 0640);
  ctx.check_cancelled();
  out.commit();
  ctx.event("done", io::Json{{"out", plan.job.out.string()},
                             {"effective_bits", result.effective_bits},
                             {"seconds", result.seconds_total},
                             {"peak_rss_bytes", result.peak_rss}}
                        .dump());
  return result;
}

}  // namespace pare::pipeline
