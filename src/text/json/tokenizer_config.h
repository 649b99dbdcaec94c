// What the small files beside a tokenizer say: tokenizer_config.json, special_tokens_map.json,
// added_tokens.json, generation_config.json and config.json.
#pragma once

#include "text/json/added_tokens.h"
#include "text/json/vocabulary.h"
#include "text/token_table.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pare::text {

struct TokenizerConfig {
  bool bos_mentioned = false;  // some file names bos_token, be it as null
  std::string tokenizer_class;
  std::string model_type;  // of config.json
  std::optional<bool> add_bos_token;
  std::optional<bool> add_eos_token;
  std::optional<std::string> bos_token;  // content
  std::optional<std::string> eos_token;
  std::optional<TokenId> eos_id;             // of generation_config.json or config.json
  std::optional<std::string> unknown_token;  // content
  std::optional<std::string> padding_token;
  std::optional<TokenId> unknown_id;  // of config.json
  std::optional<TokenId> padding_id;
  std::vector<AddedToken> added_tokens;  // by id
};

/// Reads what there is. Errors: file_io, bad_json, bad_tokenizer.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

/// Whether the class is one of LLaMA's, which let add_bos_token and add_eos_token decide.
bool is_llama_class(const TokenizerConfig& config) noexcept;

/// Ids of the two ends of a sequence, -1 = none: by content in the vocabulary, EOS also by the
/// number that the model's configuration gives.
struct SequenceEnds {
  TokenId bos = -1;
  TokenId eos = -1;
};
SequenceEnds sequence_ends(const TokenizerConfig& config, const Vocabulary& vocabulary);

/// Gives a table the unknown and the padding token that the tokenizer itself does not know: by
/// content, else by the number that config.json gives.
void name_other_specials(const TokenizerConfig& config, TokenTable& table);

}  // namespace pare::text
