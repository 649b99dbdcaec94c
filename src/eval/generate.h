// Text generation, token by token.
#pragma once

#include "model/transformer.h"
#include "pare/context.h"
#include "pare/eval.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace pare::eval {

/// `piece` receives text as soon as it is whole UTF-8.
Generated generate(const Context& ctx, const model::Model& model, const text::Tokenizer& tokenizer,
                   std::string_view prompt, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& piece);

}  // namespace pare::eval
