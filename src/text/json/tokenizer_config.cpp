#include "text/json/tokenizer_config.h"

#include "io/json.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace pare::text {

namespace {

namespace fs = std::filesystem;

std::optional<io::Json> read_if_there(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  return io::read_json(file);
}

// Present, even as null: then the file has spoken and no other file is asked.
bool mentions(const io::Json& json, const char* key) {
  return json.is_object() && json.find(key) != json.end();
}

std::optional<std::string> token_content(const JsonNode& node, std::string_view key) {
  const std::optional<JsonNode> token = node.find(key);
  if (!token) return std::nullopt;
  return token->value().is_object() ? token->at("content").text() : token->text();
}

// The same of tokens that no text is encoded with: what is odd about them is passed over.
std::optional<std::string> content_if_any(const JsonNode& node, std::string_view key) {
  const std::optional<JsonNode> token = node.find(key);
  if (!token) return std::nullopt;
  const io::Json& value = token->value();
  if (value.is_string()) return value.get<std::string>();
  const bool described = value.is_object() && value.contains("content");
  if (!described || !value["content"].is_string()) return std::nullopt;
  return value["content"].get<std::string>();
}

std::optional<TokenId> id_if_any(const io::Json& json, const char* key) {
  if (!mentions(json, key) || !json[key].is_number_integer()) return std::nullopt;
  const auto id = json[key].get<std::int64_t>();
  if (id < 0 || id >= Vocabulary::kMaxIds) return std::nullopt;
  return static_cast<TokenId>(id);
}

std::int64_t id_from_key(const JsonNode& node, const std::string& key) {
  std::int64_t id = -1;
  const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (status != std::errc() || end != key.data() + key.size()) {
    throw node.error("\"" + key + "\" is not a token id");
  }
  return id;
}

void read_added_tokens_decoder(const JsonNode& node, TokenizerConfig& config) {
  if (!node.value().is_object()) throw node.error("expected an object of ids and tokens");
  for (const auto& [key, token] : node.value().items()) {
    const JsonNode place(token, node.path() + "." + key);
    config.added_tokens.push_back(read_added_token(place, id_from_key(node, key)));
  }
}

// The older form: {content: id}, all of them special and taken as they stand.
void read_added_tokens_file(const JsonNode& node, TokenizerConfig& config) {
  if (!node.value().is_object()) throw node.error("expected an object of tokens and ids");
  const Vocabulary checked(node);
  for (const auto& [content, id] : node.value().items()) {
    AddedToken token;
    token.content = content;
    token.id = id.get<TokenId>();
    token.special = true;
    config.added_tokens.push_back(std::move(token));
  }
}

void read_main_file(const JsonNode& node, TokenizerConfig& config) {
  config.tokenizer_class = node.text_or("tokenizer_class", "");
  if (const auto flag = node.find("add_bos_token")) config.add_bos_token = flag->flag();
  if (const auto flag = node.find("add_eos_token")) config.add_eos_token = flag->flag();
  config.bos_token = token_content(node, "bos_token");
  config.eos_token = token_content(node, "eos_token");
  config.unknown_token = content_if_any(node, "unk_token");
  config.padding_token = content_if_any(node, "pad_token");
  if (const auto tokens = node.find("added_tokens_decoder"))
    read_added_tokens_decoder(*tokens, config);
}

// `eos_token_id` is one number or a list of them, the first being the usual one.
std::optional<TokenId> eos_id_in(const JsonNode& node) {
  std::optional<JsonNode> id = node.find("eos_token_id");
  if (id && id->value().is_array()) {
    const std::vector<JsonNode> ids = id->items();
    id = ids.empty() ? std::nullopt : std::optional<JsonNode>(ids.front());
  }
  if (!id) return std::nullopt;
  const std::int64_t value = id->integer();
  if (value < 0 || value >= Vocabulary::kMaxIds) return std::nullopt;
  return static_cast<TokenId>(value);
}

/// Where the tokenizer's own files name the token, no damage of this one matters.
std::optional<TokenId> eos_id_for_generation(const fs::path& folder, bool needed) {
  constexpr const char* kFile = "generation_config.json";
  try {
    const auto json = read_if_there(folder / kFile);
    return json ? eos_id_in(JsonNode(*json, kFile)) : std::nullopt;
  } catch (const Error&) {
    if (needed) throw;
    return std::nullopt;
  }
}

/// What tokenizer_config.json speaks of, besides the token that begins a text.
struct Mentioned {
  bool eos = false;
  bool unknown = false;
  bool padding = false;
};

void read_special_tokens(const JsonNode& node, const Mentioned& mentioned,
                         TokenizerConfig& config) {
  const bool has_bos = mentions(node.value(), "bos_token");
  if (!config.bos_mentioned) config.bos_token = token_content(node, "bos_token");
  config.bos_mentioned = config.bos_mentioned || has_bos;
  if (!mentioned.eos) config.eos_token = token_content(node, "eos_token");
  if (!mentioned.unknown) config.unknown_token = content_if_any(node, "unk_token");
  if (!mentioned.padding) config.padding_token = content_if_any(node, "pad_token");
}

/// Fills in what the main file leaves open. Where that names both ends of a text, no damage of this
/// one matters: nobody needs the others to tokenize.
void read_special_tokens_map(const fs::path& folder, const Mentioned& mentioned,
                             TokenizerConfig& config) {
  constexpr const char* kFile = "special_tokens_map.json";
  const bool ends_known = config.bos_mentioned && mentioned.eos;
  try {
    const auto json = read_if_there(folder / kFile);
    if (json) read_special_tokens(JsonNode(*json, kFile), mentioned, config);
  } catch (const Error&) {
    if (!ends_known) throw;
  }
}

}  // namespace

TokenizerConfig read_tokenizer_config(const fs::path& folder) {
  TokenizerConfig config;
  Mentioned mentioned;
  if (const auto json = read_if_there(folder / "tokenizer_config.json")) {
    read_main_file(JsonNode(*json, "tokenizer_config.json"), config);
    config.bos_mentioned = mentions(*json, "bos_token");
    mentioned = {mentions(*json, "eos_token"), mentions(*json, "unk_token"),
                 mentions(*json, "pad_token")};
  }
  read_special_tokens_map(folder, mentioned, config);
  if (config.added_tokens.empty()) {
    if (const auto json = read_if_there(folder / "added_tokens.json")) {
      read_added_tokens_file(JsonNode(*json, "added_tokens.json"), config);
    }
  }
  config.eos_id = eos_id_for_generation(folder, !config.eos_token.has_value());
  if (const auto json = read_if_there(folder / "config.json")) {
    const JsonNode node(*json, "config.json");
    config.model_type = node.text_or("model_type", "");
    if (!config.eos_id) config.eos_id = eos_id_in(node);
    config.unknown_id = id_if_any(*json, "unk_token_id");
    config.padding_id = id_if_any(*json, "pad_token_id");
  }
  std::sort(config.added_tokens.begin(), config.added_tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return config;
}

bool is_llama_class(const TokenizerConfig& config) noexcept {
  constexpr std::array<std::string_view, 6> kClasses = {
      "LlamaTokenizer",         "LlamaTokenizerFast", "CodeLlamaTokenizer",
      "CodeLlamaTokenizerFast", "GemmaTokenizer",     "GemmaTokenizerFast"};
  return std::find(kClasses.begin(), kClasses.end(), config.tokenizer_class) != kClasses.end();
}

SequenceEnds sequence_ends(const TokenizerConfig& config, const Vocabulary& vocabulary) {
  SequenceEnds ends;
  if (config.bos_token) ends.bos = vocabulary.id_of(*config.bos_token).value_or(-1);
  if (config.eos_token) ends.eos = vocabulary.id_of(*config.eos_token).value_or(-1);
  if (ends.eos < 0 && config.eos_id && *config.eos_id < vocabulary.size())
    ends.eos = *config.eos_id;
  return ends;
}

namespace {

TokenId special_id(const std::optional<std::string>& content, std::optional<TokenId> id,
                   const TokenTable& table) {
  if (content.has_value() && !content->empty()) {
    const auto found = std::find(table.tokens.begin(), table.tokens.end(), *content);
    if (found != table.tokens.end()) return static_cast<TokenId>(found - table.tokens.begin());
  }
  const bool inside = id.has_value() && static_cast<std::size_t>(*id) < table.tokens.size();
  return inside ? *id : -1;
}

}  // namespace

void name_other_specials(const TokenizerConfig& config, TokenTable& table) {
  if (table.unknown < 0) {
    table.unknown = special_id(config.unknown_token, config.unknown_id, table);
  }
  if (table.padding < 0) {
    table.padding = special_id(config.padding_token, config.padding_id, table);
  }
}

}  // namespace pare::text
