// Text generation, token by token.
#pragma once

#include "model/transformer.h"
#include "pare/context.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace pare::eval {

struct GenerateOptions {
  std::int64_t max_new_tokens = 64;
  double temperature = 0;  // 0 = greedy
  double top_p = 1;        // keep the smallest set of tokens with at least this probability
  std::uint64_t seed = 0;
};

struct Generated {
  std::string text;  // without the prompt
  std::int64_t prompt_tokens = 0;
  std::int64_t new_tokens = 0;
  bool ended = false;  // the model said end of sequence
};

/// `piece` receives text as soon as it is whole UTF-8.
Generated generate(const Context& ctx, const model::Model& model, const text::Tokenizer& tokenizer,
                   std::string_view prompt, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& piece);

}  // namespace pare::eval
