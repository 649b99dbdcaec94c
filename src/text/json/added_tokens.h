// Added tokens: whole strings that are cut out of the text before anything else sees it.
#pragma once

#include "text/json_node.h"
#include "text/tokenizer.h"
#include "text/unicode/regex.h"

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pare::text {

struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool single_word = false;  // not inside a longer word
  bool lstrip = false;       // takes the white space on its left along
  bool rstrip = false;       // and on its right
  bool normalized = false;   // is looked for in normalized text, in its normalized spelling
  bool special = false;      // left out by decode
};

/// Reads the flags and the content of an added token's object; the id is given beside it in some
/// files and as member "id" in others. Errors: bad_tokenizer.
AddedToken read_added_token(const JsonNode& node, std::int64_t id);

/// Finds the tokens of one list in text: leftmost first, longest at one place.
/// Threads: const members may be called from several threads at once.
class AddedTokenFinder {
 public:
  struct Part {
    Span span;
    std::optional<TokenId> id;  // nothing = text between tokens
  };

  /// Looks for `spelling` as `token`. An empty spelling is never found.
  /// Errors: bad_tokenizer when it is longer than kMaxBytes.
  void add(const AddedToken& token, std::string_view spelling);

  bool empty() const noexcept { return tokens_.empty(); }

  /// Text and tokens in order; empty text between two tokens is left out.
  std::vector<Part> split(std::string_view valid_text) const;

  static constexpr std::size_t kMaxBytes = 4096;

 private:
  struct Match {
    std::size_t token = 0;
    std::size_t end = 0;
  };
  std::optional<Match> longest_at(std::string_view text, std::size_t at) const;

  // A trie of bytes: edges_[node * 256 + byte] is the next node.
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::vector<std::optional<std::size_t>> token_at_node_ = {std::nullopt};
  std::bitset<256> first_bytes_;
  std::vector<AddedToken> tokens_;
};

}  // namespace pare::text
