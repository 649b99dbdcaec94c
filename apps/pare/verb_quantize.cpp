// pare quantize: a float checkpoint in, a quantized and proven one out.
#include <memory>
#include <string>

#include "param_options.h"
#include "pare/job.h"
#include "pipeline/quantize/code_sample.h"
#include "pipeline/quantize/plan.h"
#include "pipeline/quantize/quantize.h"
#include "pipeline/quantize/recipe.h"
#include "pipeline/quantize/report.h"
#include "verb.h"

namespace pare::app {
namespace {

struct Options {
  pipeline::Job job;
  std::string recipe;
  std::string max_memory;
};

io::Json plan_event(const pipeline::Plan& plan) {
  io::Json event = {{"model", plan.model_label},
                    {"scheme", plan.spec.scheme.text()},
                    {"linears", plan.linears.all().size()},
                    {"quantized", plan.linears.quantized_count()},
                    {"input_bytes", plan.input_bytes},
                    {"output_bytes", plan.output_bytes()},
                    {"memory_bytes", plan.memory.total()},
                    {"seconds", plan.seconds_estimate}};
  if (plan.calibration.has_value()) {
    event["calibration"] = {{"samples", plan.calibration->sequences.size()},
                            {"tokens", plan.calibration->tokens()},
                            {"ids_sha256", plan.calibration->ids_sha256}};
  }
  return event;
}

void show_code_sample(Session& session, const pipeline::Plan& plan) {
  const auto sample = pipeline::sample_codes(session.ctx, plan);
  if (!sample.has_value()) return;
  session.ctx.event("codes", io::Json{{"linears", sample->linears},
                                      {"zeros", sample->stats.zeros},
                                      {"outliers", sample->stats.outliers},
                                      {"entropy_bits", sample->stats.entropy_bits},
                                      {"stored_bytes", sample->stored_bytes},
                                      {"packed_bytes", sample->packed_bytes}}
                                 .dump());
  for (const std::string& line : pipeline::describe_codes(plan, *sample)) {
    session.console.result(line);
  }
}

int run(Session& session, Options& options) {
  pipeline::Job& job = options.job;
  if (!options.recipe.empty()) pipeline::read_recipe(options.recipe, job.params);
  if (!options.max_memory.empty()) job.run.max_memory = parse_bytes(options.max_memory);
  pipeline::refuse_existing_output(job);
  const pipeline::Plan plan = pipeline::make_plan(session.ctx, job);
  session.ctx.event("plan", plan_event(plan).dump());
  for (const std::string& line : pipeline::describe(plan)) session.console.result(line);
  if (job.run.dry_run) {
    show_code_sample(session, plan);
    session.console.result("nothing written; run without --dry-run to start");
    return 0;
  }
  const pipeline::QuantizeResult result = pipeline::run_plan(session.ctx, plan);
  session.console.end_progress();
  for (const std::string& line : pipeline::closing_table(plan, result)) {
    session.console.result(line);
  }
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->job.model, "folder of a float checkpoint (safetensors)")
      ->required();
  app.add_option("-o,--out", options->job.out, "folder to make; must not exist unless --force");
  add_params(app, pipeline::recipe_params(), options->job.params, "What to make (recipe keys)");
  const std::string how = "How to run";
  app.add_option("--recipe", options->recipe,
                 "YAML file with the options above as `key: value`; flags win over it")
      ->group(how);
  app.add_flag("--dry-run", options->job.run.dry_run,
               "show what would be done: coverage, size, memory, time, what codes look like")
      ->group(how);
  app.add_option("--max-memory", options->max_memory,
                 "refuse at once when the plan needs more, e.g. 8GiB")
      ->group(how);
  app.add_flag("--force", options->job.run.overwrite,
               "replace an output folder that pare made before")
      ->group(how);
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

extern const Verb verb_quantize;
const Verb verb_quantize = {
    .name = "quantize",
    .summary = "quantize a float checkpoint and prove what was written",
    .description =
        "Reads a Hugging Face checkpoint block by block, quantizes its linear layers, writes a "
        "complete folder for the chosen format, reads everything back and compares it with what "
        "was meant. Nothing is left on disk when anything fails.",
    .examples =
        "pare quantize llama -o llama-w8a8 --scheme w8a8 --calib prompts.jsonl\n"
        "pare quantize llama -o llama-w4 --scheme w4a16 --group-size 64\n"
        "pare quantize llama --scheme w8a16 --dry-run\n"
        "pare quantize llama -o out --recipe recipe.yaml --format ascend-v1",
    .json = JsonOutput::events,
    .declare = declare,
};

}  // namespace pare::app
