// The special tokens that a tokenizer puts around every text.
#pragma once

#include "text/json/vocabulary.h"
#include "text/json_node.h"
#include "text/tokenizer.h"

#include <vector>

namespace pare::text {

/// Ids before and after the ids of a text.
struct Surroundings {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
};

/// Reads a tokenizer.json's `post_processor` for a single text. Known: TemplateProcessing,
/// ByteLevel (which changes offsets only), Sequence.
/// Errors: bad_tokenizer, tokenizer_not_supported naming the unknown type.
Surroundings read_post_processor(const JsonNode& node, const Vocabulary& vocabulary);

}  // namespace pare::text
