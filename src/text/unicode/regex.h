// What to look for in text: a literal or a regular expression, both found left to right.
#pragma once

#include "text/json_node.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pare::text {

/// Bytes [begin, end) of a text.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;

  friend bool operator==(const Span&, const Span&) = default;
};

/// A compiled expression in Oniguruma's dialect, run by PCRE2 with bounded effort.
/// Threads: const members may be called from several threads at once.
class Regex {
 public:
  /// Errors: bad_tokenizer (does not compile), tokenizer_not_supported (see regex_dialect.h).
  explicit Regex(std::string_view pattern);

  /// All matches in valid UTF-8, in order, not overlapping. An empty match right behind the one
  /// before it does not count. Errors: bad_tokenizer when the expression needs too many steps.
  std::vector<Span> find_all(std::string_view valid_text) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

/// A `pattern` member of tokenizer.json: {"String": …} or {"Regex": …}.
class Pattern {
 public:
  explicit Pattern(std::string literal);
  explicit Pattern(const JsonNode& node);

  std::vector<Span> find_all(std::string_view valid_text) const;

  /// `text` with every match replaced by `content`, taken literally.
  std::string replace_all(std::string_view valid_text, std::string_view content) const;

 private:
  std::string literal_;
  std::shared_ptr<const Regex> regex_;  // null for a literal
};

}  // namespace pare::text
