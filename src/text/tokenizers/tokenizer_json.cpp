// tokenizer.json of the Hugging Face `tokenizers` library, BPE models.
// Source: the file format as the library (Apache-2.0) reads it, version 1.0.
#include "io/json.h"
#include "text/bpe/bpe_tokenizer.h"
#include "text/bpe/merge_scores.h"
#include "text/json/word_patterns.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

namespace pare::text {

namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "tokenizer.json";

bool probe(const fs::path& folder) noexcept {
  std::error_code ignored;
  return fs::is_regular_file(folder / kFile, ignored);
}

// "a b", or in newer files ["a", "b"].
void add_merge(const JsonNode& merge, const Vocabulary& vocabulary, MergeTable& table) {
  const io::Json& value = merge.value();
  if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
    table.add(vocabulary, value[0].get_ref<const std::string&>(),
              value[1].get_ref<const std::string&>());
    return;
  }
  const std::string pair = merge.text();
  const std::size_t space = pair.find(' ');
  if (space == std::string::npos || pair.find(' ', space + 1) != std::string::npos) {
    throw merge.error(fmt::format("\"{}\" is not two pieces with a space between", pair));
  }
  const std::string_view both(pair);
  table.add(vocabulary, both.substr(0, space), both.substr(space + 1));
}

MergeTable read_merges(const JsonNode& node, const Vocabulary& vocabulary) {
  if (!node.value().is_array()) throw node.error("expected an array");
  MergeTable table;
  table.reserve(node.value().size());
  for (const io::Json& merge : node.value())
    add_merge(JsonNode(merge, node.path()), vocabulary, table);
  return table;
}

void refuse_what_changes_ids(const JsonNode& model) {
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.text_or(key, "").empty())
      throw model.unsupported(fmt::format("{} in a BPE model", key));
  }
  const std::optional<JsonNode> dropout = model.find("dropout");
  if (!dropout) return;
  if (!dropout->value().is_number()) throw dropout->error("expected a number");
  if (dropout->value().get<double>() != 0)
    throw dropout->unsupported("BPE dropout, which is random");
}

// Older files leave the model's type out; what has merges is BPE.
void require_bpe(const JsonNode& model) {
  const std::string type = model.text_or("type", model.find("merges") ? "BPE" : "");
  if (type != "BPE") throw model.unsupported("model type \"" + type + "\"");
}

Bpe read_model(const JsonNode& model) {
  require_bpe(model);
  refuse_what_changes_ids(model);
  Vocabulary vocabulary(model.at("vocab"));
  MergeTable merges = read_merges(model.at("merges"), vocabulary);
  BpeOptions options;
  options.unknown = model.text_or("unk_token", "");
  options.fuse_unknown = model.flag_or("fuse_unk", false);
  options.byte_fallback = model.flag_or("byte_fallback", false);
  options.ignore_merges = model.flag_or("ignore_merges", false);
  return Bpe(std::move(vocabulary), std::move(merges), std::move(options));
}

std::vector<AddedToken> read_added_tokens(const JsonNode& root) {
  std::vector<AddedToken> tokens;
  const std::optional<JsonNode> list = root.find("added_tokens");
  if (!list) return tokens;
  for (const JsonNode& item : list->items()) {
    tokens.push_back(read_added_token(item, item.at("id").integer()));
  }
  return tokens;
}

// LLaMA's classes rebuild the template from the two flags of tokenizer_config.json.
void apply_config_flags(const TokenizerConfig& config, const SequenceEnds& ends,
                        Surroundings& around) {
  if (!is_llama_class(config) || (!config.add_bos_token && !config.add_eos_token)) return;
  around = {};
  if (config.add_bos_token.value_or(true) && ends.bos >= 0) around.before = {ends.bos};
  if (config.add_eos_token.value_or(false) && ends.eos >= 0) around.after = {ends.eos};
}

std::unique_ptr<BpeTokenizer> build(const JsonNode& root, const TokenizerConfig& config) {
  Bpe bpe = read_model(root.at("model"));
  std::vector<AddedToken> added = read_added_tokens(root);
  add_to_vocabulary(added, bpe.vocabulary());
  const auto part = [&](std::string_view key) { return root.find(key); };
  Normalizer normalizer = part("normalizer") ? Normalizer(*part("normalizer")) : Normalizer();
  PreTokenizer pre_tokenizer =
      part("pre_tokenizer") ? PreTokenizer(*part("pre_tokenizer")) : PreTokenizer();
  Surroundings around;
  if (part("post_processor"))
    around = read_post_processor(*part("post_processor"), bpe.vocabulary());
  SequenceEnds ends = sequence_ends(config, bpe.vocabulary());
  apply_config_flags(config, ends, around);
  // Where no file names BOS the template alone tells which token begins a text.
  if (!config.bos_mentioned && ends.bos < 0 && !around.before.empty())
    ends.bos = around.before.front();
  Decoder decoder = part("decoder") ? Decoder(*part("decoder")) : Decoder::spaces_between();
  return std::make_unique<BpeTokenizer>(
      BpeTokenizerParts{std::move(bpe), std::move(added), std::move(normalizer),
                        std::move(pre_tokenizer), std::move(around), std::move(decoder), ends});
}

std::unique_ptr<Tokenizer> open(const fs::path& folder) {
  const io::Json json = io::read_json(folder / kFile);
  const TokenizerConfig config = read_tokenizer_config(folder);
  try {
    return build(JsonNode(json, kFile), config);
  } catch (Error& error) {
    if (error.where().empty()) error.at(kFile);
    throw;
  }
}

std::vector<std::string> merge_texts(const JsonNode& merges) {
  std::vector<std::string> texts;
  for (const JsonNode& merge : merges.items()) {
    const io::Json& value = merge.value();
    texts.push_back(value.is_array()
                        ? value[0].get<std::string>() + " " + value[1].get<std::string>()
                        : merge.text());
  }
  return texts;
}

bool is_byte_token(const std::string& token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

/// SentencePiece knows bytes and the unknown token by kind; tokenizer.json by their spelling.
void mark_kinds(const JsonNode& model, TokenTable& table) {
  const std::string unknown = model.text_or("unk_token", "");
  for (std::size_t id = 0; id < table.tokens.size(); ++id) {
    if (is_byte_token(table.tokens[id])) table.types[id] = TokenType::byte;
    if (unknown.empty() || table.tokens[id] != unknown) continue;
    table.types[id] = TokenType::unknown;
    table.unknown = static_cast<TokenId>(id);
  }
}

TokenTable make_table(const JsonNode& root, const TokenizerConfig& config) {
  const JsonNode model = root.at("model");
  TokenTable table = build(root, config)->table(merge_texts(model.at("merges")));
  const NormalizerTraits traits = normalizer_traits_of(root.find("normalizer"));
  table.normalizes = traits.changes_text;
  if (!model.flag_or("byte_fallback", false)) {
    table.word_patterns = word_patterns_of(root.find("pre_tokenizer"));
    table.ignore_merges = model.flag_or("ignore_merges", false);
    return table;
  }
  table.space_prefix = traits.space_prefix || adds_metaspace(root.find("pre_tokenizer"));
  mark_kinds(model, table);
  merges_to_scores(table);
  return table;
}

/// Files made from a SentencePiece model leave the word to it where it lies beside them.
std::optional<TokenTable> table(const fs::path& folder) {
  const io::Json json = io::read_json(folder / kFile);
  try {
    const JsonNode root(json, kFile);
    std::error_code ignored;
    const bool original = fs::is_regular_file(folder / "tokenizer.model", ignored);
    if (original && root.at("model").flag_or("byte_fallback", false)) return std::nullopt;
    const TokenizerConfig config = read_tokenizer_config(folder);
    TokenTable table = make_table(root, config);
    name_other_specials(config, table);
    return table;
  } catch (Error& error) {
    if (error.where().empty()) error.at(kFile);
    throw;
  }
}

}  // namespace

extern const TokenizerKind tokenizer_json_kind;
constinit const TokenizerKind tokenizer_json_kind = {
    "tokenizer.json", "BPE tokenizers saved by the Hugging Face tokenizers library", probe, open,
    table};

}  // namespace pare::text
