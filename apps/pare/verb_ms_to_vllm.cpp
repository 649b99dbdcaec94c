// pare ms-to-vllm: `pare convert` under the options of msModelSlim's example/ms_to_vllm.py.
#include "options/add_options.h"
#include "options/conversion.h"
#include "pare/convert.h"
#include "pare/error.h"
#include "pare/job.h"
#include "verb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace pare::app {
namespace {

/// The layouts under the names that the old program has for them.
std::span<const ParamSpec> params() {
  static const std::vector<ToolLayout> tools = ms_to_vllm_tools();
  static const auto joined = [](const char* between, auto word) {
    std::vector<std::string> words;
    for (const ToolLayout& tool : tools)
      words.push_back(word(tool));
    return fmt::format("{}", fmt::join(words, between));
  };
  static const std::string choices =
      joined("|", [](const ToolLayout& t) { return std::string(t.tool); });
  static const std::string help =
      "engine format to write: " +
      joined(", ", [](const ToolLayout& t) { return fmt::format("{} = {}", t.tool, t.layout); });
  static const std::array specs = {
      ParamSpec{.name = "w_bit",
                .type = ParamType::integer,
                .choices = "4|8",
                .help = "bits of the weights; the description says it, and must say the same"},
      ParamSpec{.name = "target_tool",
                .type = ParamType::choice,
                .default_value = tools.front().tool,
                .choices = choices,
                .help = help},
  };
  return specs;
}

struct Options {
  Job job;
  std::filesystem::path description;
  ParamMap values;
};

std::string_view layout_of(std::string_view tool) {
  for (const ToolLayout& known : ms_to_vllm_tools()) {
    if (known.tool == tool) return known.layout;
  }
  throw Error(ErrorCode::internal, fmt::format("no layout for \"{}\"", tool));
}

/// The old program wrote one file and left the rest to the user.
void refuse_file(const std::filesystem::path& out) {
  if (out.extension() != ".safetensors") return;
  throw Error(ErrorCode::bad_usage, "a complete folder is written, not one file")
      .at(out.string())
      .hint(fmt::format("give a folder, as in --save-path {}",
                        (out.parent_path() / out.stem()).string()));
}

void check_bits(const Options& options, const Conversion& conversion) {
  if (!options.values.given("w_bit")) return;
  const auto asked = static_cast<int>(options.values.integer("w_bit"));
  for (const auto& [name, bits] : conversion.weight_bits()) {
    if (bits == asked) continue;
    throw Error(
        ErrorCode::bad_option_value,
        fmt::format("--w-bit {}, but the description says that {} has {} bits", asked, name, bits))
        .at(options.description.string())
        .hint("leave --w-bit out: the files say how many bits there are");
  }
}

int run(Session& session, const Options& options) {
  refuse_file(options.job.out);
  const Conversion conversion(options.job, options.description,
                              layout_of(options.values.text("target_tool")));
  check_bits(options, conversion);
  return run_conversion(session, conversion);
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "--model", options->job.model,
             "weight file of an Ascend W4A16 or W8A16 model, or its folder when there are several",
             {.required = true});
  add_option(app, "--json", options->description, "its quant_model_description*.json",
             {.required = true});
  add_option(app, "--save-path,--save_path", options->job.out,
             "folder to make; must not exist unless --force", {.required = true});
  add_params(app, params(), options->values);
  add_params_as_spelled(app, params(), options->values);
  add_params(app, layout_params(), options->job.params);
  add_flag(app, "--force", options->job.run.overwrite,
           "replace an output folder that pare made before");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

extern const Verb verb_ms_to_vllm;
const Verb verb_ms_to_vllm = {
    .name = "ms-to-vllm",
    .summary = "`pare convert` under the options of msModelSlim's ms_to_vllm.py",
    .description =
        "Takes an Ascend W4A16 or W8A16 model and writes an AWQ or GPTQ folder that vLLM, AutoAWQ, "
        "AutoGPTQ and transformers load as it is: index and configuration are made, tokenizer and "
        "config.json are taken from beside the weights. It is `pare convert --to autoawq` or `--to "
        "gptq`; see there.",
    .examples =
        "pare ms-to-vllm --model q/quant_model_weight_w4a16.safetensors --json "
        "q/quant_model_description_w4a16.json --save-path llama-awq --target-tool awq",
    .json = JsonOutput::none,
    .declare = declare,
};

}  // namespace pare::app
