// pare eval: perplexity of one model, or its logits.
#include "options/add_options.h"
#include "options/model_options.h"
#include "options/text_windows.h"
#include "pare/error.h"
#include "pare/eval.h"

#include <fmt/format.h>

#include <array>
#include <memory>

namespace pare::app {
namespace {

constexpr std::array kLogitsParams = {
    ParamSpec{.name = "input_ids",
              .type = ParamType::text,
              .help = "token sequences, one {\"input_ids\": […]} per line"},
    ParamSpec{.name = "logits_to",
              .type = ParamType::text,
              .help = "f32 .npy file [tokens, vocabulary]: the rows of all sequences in order"},
};

struct Options {
  std::string model;
  ParamMap values;
};

void measure_perplexity(Session& session, const Model& model, const Options& options) {
  const Moment start = now();
  const std::string file = options.values.text("ppl");
  const EvalText text(session.ctx, model, file, options.values);
  const Perplexity result = perplexity(session.ctx, model, text);
  if (session.json) {
    Json object = {{"model", options.model}, {"kind", model.kind()}};
    describe_text(object, file, text);
    object["perplexity"] = result.perplexity;
    object["stderr"] = result.stderr_;
    object["nll"] = result.nll;
    object["windows"] = result.windows;
    object["tokens"] = result.tokens;
    add_run_facts(object, session, model, start);
    return session.console.json(object);
  }
  session.console.result(
      fmt::format("model       {}, computed in {}", label_of(model), model.compute()));
  show_text(session.console, file, text);
  session.console.result(
      fmt::format("perplexity  {:.4f} ± {:.4f}", result.perplexity, result.stderr_));
}

void show_logits(Session& session, const Model& model, const Options& options) {
  const Moment start = now();
  const std::string out = options.values.text("logits_to");
  const WrittenLogits written =
      write_logits(session.ctx, model, options.values.text("input_ids"), out);
  if (session.json) {
    Json object = {{"model", options.model},
                   {"kind", model.kind()},
                   {"logits", out},
                   {"sequences", written.sequences},
                   {"tokens", written.tokens},
                   {"vocabulary", model.vocab_size()},
                   {"ids_sha256", written.ids_sha256}};
    add_run_facts(object, session, model, start);
    return session.console.json(object);
  }
  session.console.result(fmt::format("wrote {}: {} rows of {} logits from {} sequences", out,
                                     written.tokens, model.vocab_size(), written.sequences));
}

void check_usage(const ParamMap& values) {
  const bool ids = values.given("input_ids");
  const bool logits = values.given("logits_to");
  if (ids != logits) {
    throw Error(ErrorCode::bad_usage,
                ids ? "--input-ids without --logits-to" : "--logits-to without --input-ids")
        .at("pare eval")
        .hint("logits are asked for with both");
  }
  if (values.given("ppl") == ids) {
    throw Error(ErrorCode::bad_usage, ids ? "--ppl and --logits-to at once" : "nothing to measure")
        .at("pare eval")
        .hint("give either --ppl FILE, or --input-ids FILE.jsonl and --logits-to OUT.npy");
  }
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->model, kModelHelp, {.required = true});
  add_params(app, kTextParam, options->values, "Perplexity");
  add_params(app, window_params(), options->values, "Perplexity");
  add_params(app, kLogitsParams, options->values, "Logits");
  add_params(app, kComputeParam, options->values, "Common options");
  return [options](Session& session) {
    check_usage(options->values);
    const Model model(options->model, options->values.text("compute"));
    if (options->values.given("ppl")) {
      measure_perplexity(session, model, *options);
    } else {
      show_logits(session, model, *options);
    }
    return 0;
  };
}

}  // namespace

const Verb verb_eval = {
    .name = "eval",
    .summary = "perplexity of a model on a text, by a named protocol",
    .description =
        "Runs a float or a quantized model on a text and prints its perplexity with the protocol, "
        "the number of windows and the standard error. The weights of a quantized model are those "
        "its files hold, and the inputs of its layers are rounded as its description says. With "
        "--input-ids and --logits-to it writes the logits of given token sequences instead; that "
        "needs no tokenizer.",
    .examples =
        "pare eval demo/model --ppl demo/text.txt --context 256\n"
        "pare eval out/w4a16 --ppl wiki.test.raw --protocol llamacpp --json\n"
        "pare eval demo/model --input-ids ids.jsonl --logits-to logits.npy",
    .json = JsonOutput::object,
    .declare = declare,
};

}  // namespace pare::app
