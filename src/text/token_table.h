// A tokenizer as a table, for files that carry one inside them: every token with its kind, and the
// scores or merges by which text becomes tokens.
#pragma once

#include "text/tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pare::text {

/// What a token is for; the numbers are those of SentencePiece's own files.
enum class TokenType : std::int32_t {
  normal = 1,
  unknown = 2,
  control = 3,       // never matches text
  user_defined = 4,  // cut out of the text as a whole
  unused = 5,
  byte = 6           // "<0x0A>"
};

struct TokenTable {
  /// scores: neighbours whose union has the highest score join, as SentencePiece does.
  /// merges: the pair that stands first in `merges` joins, inside words that are cut before.
  enum class Algorithm : std::uint8_t { scores, merges };

  Algorithm algorithm = Algorithm::merges;
  std::vector<std::string> tokens;  // by id, in the vocabulary's own spelling; holes are ""
  std::vector<TokenType> types;     // of `tokens`; holes are unused
  std::vector<float> scores;        // of `tokens`; algorithm scores only
  std::vector<std::string> merges;  // "left right"; algorithm merges only
  /// Patterns that cut text into words one after the other, before bytes become letters; nullopt
  /// when the tokenizer cuts in a way that patterns do not say.
  std::optional<std::vector<std::string>> word_patterns;
  bool ignore_merges = false;    // a word that is a token as a whole is taken as it is
  bool space_prefix = false;     // a space is put before the text
  bool collapse_spaces = false;  // runs of spaces become one, those at the ends none
  bool normalizes = false;       // beyond spaces: text is changed before it is cut
  TokenId bos = -1;
  TokenId eos = -1;
  TokenId unknown = -1;
  TokenId padding = -1;
  bool add_bos = false;
  bool add_eos = false;
};

/// Gives every token up to the highest id a place: holes are "" and unused.
void put_token(TokenTable& table, std::int64_t id, const std::string& token, TokenType type);

/// The table of a model folder's tokenizer; nullopt when it has none.
/// Errors: bad_tokenizer, tokenizer_not_supported, file_io, bad_json.
std::optional<TokenTable> read_token_table(const std::filesystem::path& folder);

/// The template that turns a conversation into text: chat_template.jinja, or "chat_template" of
/// tokenizer_config.json or chat_template.json (of several the one named "default").
/// Errors: bad_tokenizer, file_io, bad_json.
std::optional<std::string> read_chat_template(const std::filesystem::path& folder);

}  // namespace pare::text
