// pare quantize: a float checkpoint in, a quantized and proven one out.
#include "options/add_options.h"
#include "pare/job.h"
#include "pare/quantize.h"
#include "verb.h"

#include <memory>
#include <string>
#include <vector>

namespace pare::app {
namespace {

struct Options {
  Job job;
  std::string recipe;
  std::string max_memory;
};

void show(Console& console, const std::vector<std::string>& lines) {
  for (const std::string& line : lines)
    console.result(line);
}

int run(Session& session, Options& options) {
  Job& job = options.job;
  if (!options.recipe.empty()) read_recipe(options.recipe, job.params);
  if (!options.max_memory.empty()) job.run.max_memory = parse_bytes(options.max_memory);
  const QuantizePlan plan(session.ctx, job);
  show(session.console, plan.lines());
  if (job.run.dry_run) {
    show(session.console, plan.sample_codes(session.ctx));
    session.console.result("nothing written; run without --dry-run to start");
    return 0;
  }
  const QuantizeReport report = plan.run(session.ctx);
  session.console.end_progress();
  show(session.console, report.lines);
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->job.model,
             "folder of a float checkpoint (safetensors), or its only weight file",
             {.required = true});
  add_option(app, "-o,--out", options->job.out, "folder to make; must not exist unless --force");
  add_params(app, recipe_params(), options->job.params, "What to make (recipe keys)");
  const OptionStyle how = {.group = "How to run"};
  add_option(app, "--recipe", options->recipe,
             "YAML file with the options above as `key: value`; flags win over it", how);
  add_flag(app, "--dry-run", options->job.run.dry_run,
           "show what would be done: coverage, size, memory, time, what codes look like", how);
  add_option(app, "--max-memory", options->max_memory,
             "refuse at once when the plan needs more, e.g. 8GiB", how);
  add_flag(app, "--force", options->job.run.overwrite,
           "replace an output folder that pare made before", how);
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
