// How a tokenizer cuts text into words, as patterns: for tables that other programs read.
#pragma once

#include "text/json_node.h"

#include <optional>
#include <string>
#include <vector>

namespace pare::text {

/// The patterns of a tokenizer.json's `pre_tokenizer` in the order in which they cut; nullopt when
/// a step is no pattern, or does more than cut (a space put before every text, metaspace).
std::optional<std::vector<std::string>> word_patterns_of(const std::optional<JsonNode>& node);

/// What a `normalizer` does to text, as far as tables say it.
struct NormalizerTraits {
  bool space_prefix = false;  // "▁" is put before the text
  bool changes_text = false;  // beyond spaces and the canonical composition NFC
};
NormalizerTraits normalizer_traits_of(const std::optional<JsonNode>& node);

/// Whether a `pre_tokenizer` puts "▁" before the text.
bool adds_metaspace(const std::optional<JsonNode>& node);

}  // namespace pare::text
