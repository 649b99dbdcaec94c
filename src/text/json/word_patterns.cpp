#include "text/json/word_patterns.h"

#include "text/json/pre_tokenizer.h"

namespace pare::text {
namespace {

using Patterns = std::vector<std::string>;

/// Every stretch between matches is a word, too; older files say so by inverting the pattern.
bool keeps_everything(const JsonNode& node) {
  const std::string behavior = node.at("behavior").text();
  const bool inverted = node.flag_or("invert", false);
  return (behavior == "Isolated" && !inverted) || (behavior == "Removed" && inverted);
}

bool add_patterns(const JsonNode& node, Patterns& patterns) {
  const std::string type = node.type();
  if (type == "Sequence") {
    for (const JsonNode& part : node.at("pretokenizers").items()) {
      if (!add_patterns(part, patterns)) return false;
    }
    return true;
  }
  if (type == "ByteLevel") {
    if (node.flag_or("use_regex", true)) patterns.emplace_back(kGpt2Pattern);
    return !node.flag_or("add_prefix_space", true);
  }
  if (type == "Digits") {
    patterns.emplace_back("\\p{N}");
    return node.flag_or("individual_digits", false);
  }
  if (type != "Split" || !keeps_everything(node)) return false;
  const std::optional<JsonNode> regex = node.at("pattern").find("Regex");
  if (regex.has_value()) patterns.push_back(regex->text());
  return regex.has_value();
}

}  // namespace

std::optional<Patterns> word_patterns_of(const std::optional<JsonNode>& node) {
  Patterns patterns;
  if (!node.has_value() || !add_patterns(*node, patterns)) return std::nullopt;
  return patterns;
}

NormalizerTraits normalizer_traits_of(const std::optional<JsonNode>& node) {
  NormalizerTraits traits;
  if (!node.has_value()) return traits;
  const std::string type = node->type();
  if (type == "Sequence") {
    for (const JsonNode& part : node->at("normalizers").items()) {
      const NormalizerTraits one = normalizer_traits_of(part);
      traits.space_prefix = traits.space_prefix || one.space_prefix;
      traits.changes_text = traits.changes_text || one.changes_text;
    }
    return traits;
  }
  traits.space_prefix = type == "Prepend";
  traits.changes_text = type != "Prepend" && type != "Replace" && type != "NFC";
  return traits;
}

bool adds_metaspace(const std::optional<JsonNode>& node) {
  if (!node.has_value()) return false;
  if (node->type() != "Metaspace") return false;
  return node->text_or("prepend_scheme", "always") != "never" &&
         node->flag_or("add_prefix_space", true);
}

}  // namespace pare::text
