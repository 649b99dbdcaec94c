#include "text_windows.h"

#include "eval/text_file.h"
#include "pare/error.h"
#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::app {
namespace {

std::string protocol_choices() {
  std::string choices;
  for (const eval::Protocol& protocol : eval::protocols()) {
    if (!choices.empty()) choices += '|';
    choices += protocol.id;
  }
  return choices;
}

std::int64_t context_of(const Session& session, const model::ModelConfig& config,
                        const eval::Protocol& protocol, const ParamMap& values) {
  const std::int64_t positions =
      config.max_positions > 0 ? config.max_positions : protocol.default_context;
  const std::int64_t context =
      values.integer("context", std::min(protocol.default_context, positions));
  if (context > positions) {
    session.ctx.warning(fmt::format("windows of {} tokens, the model was made for {} positions",
                                    context, positions));
  }
  return context;
}

}  // namespace

std::span<const ParamSpec> window_params() {
  static const std::string choices = protocol_choices();
  static const std::array specs = {
      ParamSpec{
          .name = "ppl",
          .type = ParamType::text,
          .help = "text file to score; a .jsonl of {\"text\"} lines is joined by empty lines"},
      ParamSpec{.name = "protocol",
                .type = ParamType::choice,
                .default_value = eval::protocols().front().id,
                .choices = choices,
                .help = "how the text is cut and which tokens count (`pare list protocols`)"},
      ParamSpec{.name = "context",
                .type = ParamType::integer,
                .min = 2,
                .max = 1 << 24,
                .help = "tokens per window; unset = the protocol's own (gptq 2048, llamacpp 512), "
                        "at most the model's positions"},
      ParamSpec{.name = "windows",
                .type = ParamType::integer,
                .min = 1,
                .max = 1e9,
                .help = "score only the first N windows"},
  };
  return specs;
}

TextWindows read_windows(const Session& session, const pipeline::OpenModel& model,
                         const ParamMap& values) {
  TextWindows result;
  result.file = values.text("ppl");
  result.protocol = &eval::find_protocol(values.text("protocol"));
  const auto tokenizer = text::open_tokenizer(model.folder());
  const std::vector<text::TokenId> tokens = tokenizer->encode(eval::read_eval_text(result.file));
  result.text_tokens = static_cast<std::int64_t>(tokens.size());
  result.ids_sha256 = eval::ids_sha256(tokens);
  const text::TokenId bos = tokenizer->adds_bos() ? tokenizer->bos_id() : -1;
  try {
    result.windows =
        eval::make_windows(tokens, *result.protocol,
                           context_of(session, model.graph().config, *result.protocol, values), bos,
                           values.integer("windows"));
  } catch (Error& failure) {
    failure.at(result.file);
    throw;
  }
  return result;
}

std::string TextWindows::text_line() const {
  return fmt::format("{}, {} tokens, ids sha256 {}…", file, text_tokens, ids_sha256.substr(0, 12));
}

std::string TextWindows::protocol_line() const {
  const auto count = static_cast<std::int64_t>(windows.ids.size());
  return fmt::format("{}-{}: {} windows, {} tokens scored", protocol->id, windows.context, count,
                     count * (windows.context - windows.first_target));
}

void TextWindows::describe(io::Json& object) const {
  object["protocol"] = protocol->id;
  object["context"] = windows.context;
  object["text"] = file;
  object["text_tokens"] = text_tokens;
  object["ids_sha256"] = ids_sha256;
}

}  // namespace pare::app
