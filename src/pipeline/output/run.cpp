#include "pipeline/output/run.h"

#include "core/memory.h"
#include "core/stopwatch.h"
#include "io/file.h"
#include "io/output_dir.h"
#include "pipeline/output/model_files.h"
#include "pipeline/output/verify.h"

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

/// Weight files with their headers; descriptions and indexes say nothing about bits per weight.
std::size_t weight_bytes(const fs::path& folder, const std::vector<std::string>& files) {
  std::size_t sum = 0;
  for (const std::string& name : files) {
    if (!name.ends_with(".json")) sum += fs::file_size(folder / name);
  }
  return sum;
}

RunResult write_weights(const Context& ctx, const RunPlan& plan, const Producer& produce,
                        const fs::path& folder) {
  RunOutputs outputs(plan.outputs, *plan.params, folder);
  trim_heap();  // some layouts read the tokenizer to begin their files
  outputs.copy_floats(ctx, plan.floats);
  produce(outputs);
  return outputs.finish();
}

/// Everything beside the weights, then the proof. config.json comes first: it says how some layouts
/// are to be read.
void complete_output(const Context& ctx, const RunPlan& plan, std::size_t index,
                     const fs::path& folder, RunResult& result) {
  const layout::OutputPlan& output = plan.outputs[index];
  OutputRecord& record = result.outputs[index];
  write_model_files({plan.model, &output, plan.companions, plan.untie_head}, folder);
  verify_output(ctx, plan, index, result.linears, folder, record);
  record.bytes = weight_bytes(folder, record.files);
}

}  // namespace

RunResult run(const Context& ctx, const RunPlan& plan, const Producer& produce,
              const Reporter& report) {
  const Stopwatch watch;
  warn_of_missed(ctx, *plan.companions);
  io::OutputDir out(ctx, plan.out, plan.overwrite);
  RunResult result = write_weights(ctx, plan, produce, out.path());
  result.seconds_writing = watch.seconds();
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    complete_output(ctx, plan, i, plan.outputs[i].under(out.path()), result);
  }
  result.seconds_verifying = watch.seconds() - result.seconds_writing;
  result.peak_rss = peak_rss_bytes();
  result.seconds_total = watch.seconds();
  report(result, out.path());
  ctx.check_cancelled();
  out.commit();
  return result;
}

}  // namespace pare::pipeline
