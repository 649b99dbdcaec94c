#include "layouts/gguf/tokenizer.h"

#include "pare/error.h"
#include "text/token_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

using containers::GgufMetadata;
using text::TokenTable;
using text::TokenType;

constexpr float kScoreOfPadding = -10000;

// The patterns by which tokenizers cut words, as their files spell them.
constexpr std::string_view kLettersThenThreeDigits =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLettersThenOneDigit =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// A way to cut words that llama.cpp has a name for.
struct PreTokenizerName {
  std::string_view name;
  std::string_view first;
  std::string_view second;  // "" = one pattern only
  bool ignore_merges;
};

constexpr std::array kNames = {
    PreTokenizerName{"llama-bpe", kLettersThenThreeDigits, "", true},
    PreTokenizerName{"smaug-bpe", kLettersThenThreeDigits, "", false},
    PreTokenizerName{"qwen2", kLettersThenOneDigit, "", false},
    PreTokenizerName{"gpt-2", kGpt2, "", false},
    PreTokenizerName{"smollm", "\\p{N}", kGpt2, false},
    PreTokenizerName{"tekken", kTekken, "", true},
};

/// "" when llama.cpp has no name for it.
std::string_view pre_tokenizer_of(const TokenTable& table) noexcept {
  if (!table.word_patterns.has_value()) return "";
  const std::vector<std::string>& patterns = *table.word_patterns;
  for (const PreTokenizerName& known : kNames) {
    const std::size_t count = known.second.empty() ? 1 : 2;
    if (patterns.size() != count || patterns[0] != known.first) continue;
    if (count == 2 && patterns[1] != known.second) continue;
    if (known.ignore_merges == table.ignore_merges) return known.name;
  }
  return "";
}

/// Rows beyond the vocabulary, and holes in it, get names that no text holds.
void fill_holes(TokenTable& table, std::int64_t rows) {
  const auto count = static_cast<std::int64_t>(table.tokens.size());
  if (count > rows) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("{} tokens, but the embedding has {} rows", count, rows))
        .hint("the tokenizer is of another model, or tokens were added to it and not to the model");
  }
  table.tokens.resize(static_cast<std::size_t>(rows));
  table.types.resize(table.tokens.size(), TokenType::unused);
  if (table.algorithm == TokenTable::Algorithm::scores) {
    table.scores.resize(table.tokens.size(), kScoreOfPadding);
  }
  for (std::size_t id = 0; id < table.tokens.size(); ++id) {
    if (table.tokens[id].empty()) table.tokens[id] = fmt::format("[PAD{}]", id);
  }
}

void add_tokens(const TokenTable& table, GgufMetadata& metadata) {
  std::vector<std::int32_t> types;
  for (const TokenType type : table.types)
    types.push_back(static_cast<std::int32_t>(type));
  metadata.add_texts("tokenizer.ggml.tokens", table.tokens);
  metadata.add_i32s("tokenizer.ggml.token_type", types);
}

void add_algorithm(const TokenTable& table, GgufMetadata& metadata) {
  if (table.algorithm == TokenTable::Algorithm::scores) {
    metadata.add_text("tokenizer.ggml.model", "llama");
    metadata.add_text("tokenizer.ggml.pre", "default");
    add_tokens(table, metadata);
    metadata.add_f32s("tokenizer.ggml.scores", table.scores);
    metadata.add_flag("tokenizer.ggml.add_space_prefix", table.space_prefix);
    metadata.add_flag("tokenizer.ggml.remove_extra_whitespaces", table.collapse_spaces);
    return;
  }
  const std::string_view pre = pre_tokenizer_of(table);
  metadata.add_text("tokenizer.ggml.model", "gpt2");
  metadata.add_text("tokenizer.ggml.pre", pre.empty() ? "default" : pre);
  add_tokens(table, metadata);
  metadata.add_texts("tokenizer.ggml.merges", table.merges);
  metadata.add_flag("tokenizer.ggml.add_space_prefix", false);
}

void add_specials(const TokenTable& table, GgufMetadata& metadata) {
  const std::pair<std::string_view, text::TokenId> ids[] = {
      {"tokenizer.ggml.bos_token_id", table.bos},
      {"tokenizer.ggml.eos_token_id", table.eos},
      {"tokenizer.ggml.unknown_token_id", table.unknown},
      {"tokenizer.ggml.padding_token_id", table.padding}};
  for (const auto& [key, id] : ids) {
    if (id >= 0) metadata.add_u32(key, id);
  }
  metadata.add_flag("tokenizer.ggml.add_bos_token", table.add_bos);
  metadata.add_flag("tokenizer.ggml.add_eos_token", table.add_eos);
}

}  // namespace

void add_tokenizer_keys(const fs::path& folder, std::int64_t rows, GgufMetadata& metadata) {
  std::optional<TokenTable> table = text::read_token_table(folder);
  if (!table.has_value()) return metadata.add_text("tokenizer.ggml.model", "none");
  try {
    fill_holes(*table, rows);
  } catch (Error& error) {
    error.at(folder.string());
    throw;
  }
  add_algorithm(*table, metadata);
  add_specials(*table, metadata);
  const std::optional<std::string> chat = text::read_chat_template(folder);
  if (chat.has_value()) metadata.add_text("tokenizer.chat_template", *chat);
}

std::vector<std::string> tokenizer_notes(const fs::path& folder) {
  const std::optional<TokenTable> table = text::read_token_table(folder);
  if (!table.has_value()) {
    return {"no tokenizer in the model folder: llama.cpp will take token ids, and no text"};
  }
  std::vector<std::string> notes;
  const bool merges = table->algorithm == TokenTable::Algorithm::merges;
  if (merges && pre_tokenizer_of(*table).empty()) {
    notes.emplace_back(
        "llama.cpp has no name for the way this tokenizer cuts words; the file says \"default\", "
        "and some texts will get other token ids than the model was trained with");
  }
  if (table->normalizes) {
    notes.emplace_back(
        "llama.cpp does not normalize text as this tokenizer does: some texts will get other token "
        "ids");
  }
  return notes;
}

}  // namespace pare::layout
