// pare generate: lets a model continue a text.
#include "options/add_options.h"
#include "options/model_options.h"
#include "pare/error.h"
#include "pare/eval.h"

#include <fmt/format.h>

#include <array>
#include <iostream>
#include <iterator>
#include <memory>

namespace pare::app {
namespace {

constexpr std::array kParams = {
    ParamSpec{.name = "prompt",
              .type = ParamType::text,
              .help = "the text to continue; - reads it from standard input"},
    ParamSpec{.name = "max_new_tokens",
              .type = ParamType::integer,
              .default_value = "64",
              .min = 1,
              .max = 1 << 20,
              .help = "stop after N tokens"},
    ParamSpec{.name = "temperature",
              .type = ParamType::number,
              .default_value = "0",
              .min = 0,
              .max = 100,
              .help = "0 = always the most probable token; 1 = draw as the model says"},
    ParamSpec{.name = "top_p",
              .type = ParamType::number,
              .default_value = "1",
              .min = 0,
              .max = 1,
              .help = "draw only from the most probable tokens that make up this share"},
    ParamSpec{.name = "seed",
              .type = ParamType::integer,
              .default_value = "0",
              .min = 0,
              .max = 9e15,
              .help = "the same seed gives the same text"},
};

struct Options {
  std::string model;
  ParamMap values;
};

std::string prompt_of(const ParamMap& values) {
  if (!values.given("prompt")) {
    throw Error(ErrorCode::bad_usage, "there is no prompt")
        .at("pare generate")
        .hint("give one with --prompt \"…\", or --prompt - to read it from standard input");
  }
  const std::string prompt = values.text("prompt");
  if (prompt != "-") return prompt;
  return as_text({std::istreambuf_iterator<char>(std::cin), {}}, "standard input");
}

int run(Session& session, const Options& options) {
  const ParamMap& values = options.values;
  const std::string prompt = prompt_of(values);
  const Model model(options.model, values.text("compute"));
  const Tokenizer tokenizer(model.folder());
  const GenerateOptions how{
      .max_new_tokens = values.integer("max_new_tokens"),
      .temperature = values.number("temperature"),
      .top_p = values.number("top_p"),
      .seed = static_cast<std::uint64_t>(values.integer("seed")),
  };
  const Moment start = now();
  const bool show = !session.json;
  if (show) session.console.stream(prompt);
  const Generated result =
      generate(session.ctx, model, tokenizer, prompt, how, [&](std::string_view text) {
        if (show) session.console.stream(text);
      });
  if (show) session.console.stream("\n");
  const double seconds = seconds_since(start);
  session.ctx.info(fmt::format("{} + {} tokens in {:.2f} s{}", result.prompt_tokens,
                               result.new_tokens, seconds,
                               result.ended ? ", ended by the model" : ""));
  if (!session.json) return 0;
  Json object = {{"model", options.model},
                 {"kind", model.kind()},
                 {"prompt", prompt},
                 {"text", result.text},
                 {"prompt_tokens", result.prompt_tokens},
                 {"new_tokens", result.new_tokens},
                 {"ended", result.ended}};
  add_run_facts(object, session, model, start);
  session.console.json(object);
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->model, kModelHelp, {.required = true});
  add_params(app, kParams, options->values);
  add_params(app, kComputeParam, options->values, "Common options");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

const Verb verb_generate = {
    .name = "generate",
    .summary = "let a model continue a text",
    .description =
        "Continues a prompt token by token and prints prompt and text as they come; figures go to "
        "standard error. Greedy unless a temperature is given; the same options give the same text "
        "for any number of threads.",
    .examples =
        "pare generate demo/model --prompt \"It was late in the evening when\"\n"
        "pare generate out/w4a16 --prompt \"The river\" --temperature 0.8 --top-p 0.9 --seed 1\n"
        "cat letter.txt | pare generate demo/model --prompt - --max-new-tokens 200",
    .json = JsonOutput::object,
    .declare = declare,
};

}  // namespace pare::app
