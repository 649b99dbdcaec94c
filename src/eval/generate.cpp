#include "eval/generate.h"

#include "core/rng.h"
#include "eval/sampler.h"
#include "eval/text_stream.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <vector>

namespace pare::eval {
namespace {

std::vector<text::TokenId> prompt_ids(const text::Tokenizer& tokenizer, std::string_view prompt) {
  std::vector<text::TokenId> ids = tokenizer.encode(prompt);
  if (ids.empty() && tokenizer.bos_id() >= 0) ids.push_back(tokenizer.bos_id());
  if (ids.empty()) {
    throw Error(ErrorCode::bad_usage, "the prompt is empty and the tokenizer has no BOS token")
        .hint("give at least one character to begin with");
  }
  return ids;
}

void warn_when_too_long(const Context& ctx, const model::Model& model, std::int64_t tokens) {
  const std::int64_t positions = model.graph->config.max_positions;
  if (positions <= 0 || tokens <= positions) return;
  ctx.warning(fmt::format("prompt and new tokens are {} positions, the model was made for {}",
                          tokens, positions));
}

}  // namespace

Generated generate(const Context& ctx, const model::Model& model, const text::Tokenizer& tokenizer,
                   std::string_view prompt, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& piece) {
  const std::vector<text::TokenId> ids = prompt_ids(tokenizer, prompt);
  Generated result;
  result.prompt_tokens = static_cast<std::int64_t>(ids.size());
  const std::int64_t capacity = result.prompt_tokens + options.max_new_tokens;
  warn_when_too_long(ctx, model, capacity);
  model::ResidentModel resident(ctx, model, capacity);
  TextStream stream(tokenizer, ids);
  Rng rng(options.seed);
  const auto hand_over = [&](const std::string& text) {
    result.text += text;
    if (!text.empty() && piece) piece(text);
  };
  std::vector<float> logits = resident.feed(ctx, ids);
  while (result.new_tokens < options.max_new_tokens) {
    ctx.check_cancelled();
    const text::TokenId id = choose_token(logits, {options.temperature, options.top_p}, rng);
    ++result.new_tokens;
    result.ended = id == tokenizer.eos_id();
    if (result.ended) break;
    hand_over(stream.add(id));
    if (result.new_tokens < options.max_new_tokens) logits = resident.feed(ctx, {&id, 1});
  }
  hand_over(stream.finish());
  return result;
}

}  // namespace pare::eval
