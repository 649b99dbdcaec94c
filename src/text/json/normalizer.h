// The normalizer of a tokenizer.json: what happens to text before it is cut into words.
#pragma once

#include "text/json_node.h"

#include <functional>
#include <string>
#include <vector>

namespace pare::text {

/// Steps applied one after the other to valid UTF-8. Known: NFC, NFD, NFKC, NFKD, Lowercase,
/// Prepend, Replace, Strip, Sequence.
/// Threads: const members may be called from several threads at once.
class Normalizer {
 public:
  /// No steps.
  Normalizer() = default;
  /// Errors: bad_tokenizer, tokenizer_not_supported naming the unknown type.
  explicit Normalizer(const JsonNode& node);

  /// The Unicode normal form C alone.
  static Normalizer nfc();

  std::string apply(std::string valid_text) const;

 private:
  using Step = std::function<std::string(std::string)>;
  void add(const JsonNode& node);

  std::vector<Step> steps_;
};

}  // namespace pare::text
