// pare compare: what two models say of the same text.
#include "options/add_options.h"
#include "options/model_options.h"
#include "options/text_windows.h"
#include "pare/error.h"
#include "pare/eval.h"

#include <fmt/format.h>

#include <memory>

namespace pare::app {
namespace {

struct Options {
  std::string base;
  std::string other;
  ParamMap values;
};

void print_table(Console& console, const Comparison& c) {
  console.result("");
  console.result(fmt::format("{:<24}{:>12}  {:>10}", "", "value", "± error"));
  const auto line = [&](const char* what, double value, double error) {
    console.result(fmt::format("{:<24}{:>12.6f}  {:>10.6f}", what, value, error));
  };
  const auto plain = [&](const char* what, double value) {
    console.result(fmt::format("{:<24}{:>12.6f}", what, value));
  };
  line("KL divergence, mean", c.kl_mean, c.kl_stderr);
  plain("KL divergence, median", c.kl_median);
  plain("KL divergence, 99 %", c.kl_p99);
  plain("KL divergence, largest", c.kl_max);
  line("same top token, %", 100 * c.top1_agreement, 100 * c.top1_stderr);
  line("perplexity, base", c.base.perplexity, c.base.stderr_);
  line("perplexity, other", c.other.perplexity, c.other.stderr_);
  line("perplexity ratio", c.perplexity_ratio, c.perplexity_ratio_stderr);
}

Json as_json(const Options& options, const EvalText& text, const Comparison& c) {
  Json object = {{"base", options.base}, {"other", options.other}};
  describe_text(object, options.values.text("ppl"), text);
  object["windows"] = c.base.windows;
  object["tokens"] = c.base.tokens;
  object["kl_mean"] = c.kl_mean;
  object["kl_stderr"] = c.kl_stderr;
  object["kl_median"] = c.kl_median;
  object["kl_p99"] = c.kl_p99;
  object["kl_max"] = c.kl_max;
  object["top1_agreement"] = c.top1_agreement;
  object["top1_stderr"] = c.top1_stderr;
  object["perplexity_base"] = c.base.perplexity;
  object["perplexity_base_stderr"] = c.base.stderr_;
  object["perplexity_other"] = c.other.perplexity;
  object["perplexity_other_stderr"] = c.other.stderr_;
  object["perplexity_ratio"] = c.perplexity_ratio;
  object["perplexity_ratio_stderr"] = c.perplexity_ratio_stderr;
  return object;
}

int run(Session& session, const Options& options) {
  const Moment start = now();
  if (!options.values.given("ppl")) {
    throw Error(ErrorCode::bad_usage, "nothing to compare on")
        .at("pare compare")
        .hint("give a text with --ppl FILE");
  }
  const std::string compute = options.values.text("compute");
  const std::string file = options.values.text("ppl");
  const Model base(options.base, compute);
  const Model other(options.other, compute);
  const EvalText text(session.ctx, base, file, options.values);
  const Comparison result = compare(session.ctx, base, other, text);
  if (session.json) {
    Json object = as_json(options, text, result);
    add_run_facts(object, session, base, start);
    session.console.json(object);
    return 0;
  }
  session.console.result(
      fmt::format("base        {}, computed in {}", label_of(base), base.compute()));
  session.console.result("other       " + label_of(other));
  show_text(session.console, file, text);
  print_table(session.console, result);
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "A", options->base, "the model to compare with, usually the float one",
             {.required = true});
  add_option(app, "B", options->other, "the model to judge, usually the quantized one",
             {.required = true});
  add_params(app, kTextParam, options->values);
  add_params(app, window_params(), options->values);
  add_params(app, kComputeParam, options->values, "Common options");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

const Verb verb_compare = {
    .name = "compare",
    .summary = "how far one model's predictions are from another's",
    .description =
        "Runs two models on the same tokens of a text and prints the KL divergence KL(A || B) per "
        "token in nats, how often both predict the same token, and the ratio of their "
        "perplexities, each with its standard error. A model compared with itself gives exactly 0, "
        "100 % and 1. The text is tokenized with A's tokenizer.",
    .examples = "pare compare demo/model out/w8a8 --ppl demo/text.txt --context 256",
    .json = JsonOutput::object,
    .declare = declare,
};

}  // namespace pare::app
