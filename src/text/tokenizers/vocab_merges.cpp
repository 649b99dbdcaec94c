// vocab.json + merges.txt, the older pair of files of byte-level BPE: Qwen2 and GPT-2.
// Source: the tokenizer classes of Hugging Face transformers (Apache-2.0).
#include "io/file.h"
#include "io/json.h"
#include "text/bpe/bpe_tokenizer.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

namespace pare::text {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxMergesBytes = std::size_t{256} << 20;

bool probe(const fs::path& folder) noexcept {
  std::error_code ignored;
  return fs::is_regular_file(folder / "vocab.json", ignored) &&
         fs::is_regular_file(folder / "merges.txt", ignored);
}

enum class Family { qwen2, gpt2 };

// Without a class the model type must tell: the two families cut words differently.
Family family_of(const TokenizerConfig& config) {
  const std::string& name = config.tokenizer_class;
  if (name == "Qwen2Tokenizer" || name == "Qwen2TokenizerFast") return Family::qwen2;
  if (name == "GPT2Tokenizer" || name == "GPT2TokenizerFast") return Family::gpt2;
  if (name.empty() && config.model_type.starts_with("qwen")) return Family::qwen2;
  if (name.empty() && config.model_type == "gpt2") return Family::gpt2;
  throw Error(ErrorCode::tokenizer_not_supported,
              fmt::format("vocab.json and merges.txt of tokenizer class \"{}\"", name))
      .at("tokenizer_config.json")
      .hint("a tokenizer.json says by itself how words are cut; add one to the folder");
}

void add_merge_line(std::string_view line, std::int64_t number, const Vocabulary& vocabulary,
                    MergeTable& table) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("\"{}\" is not two pieces with a space between", line))
        .at(fmt::format("merges.txt:{}", number));
  }
  try {
    table.add(vocabulary, line.substr(0, space), line.substr(space + 1));
  } catch (Error& error) {
    error.at(fmt::format("merges.txt:{}", number));
    throw;
  }
}

/// Calls `take` for every merge, with the number of its line.
template <typename Taker>
void for_each_merge(const fs::path& file, const Taker& take) {
  const std::string content = io::read_text(file, kMaxMergesBytes);
  std::int64_t number = 0;
  for (std::string_view rest = content; !rest.empty();) {
    ++number;
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
      line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version:"))) continue;
    take(line, number);
  }
}

MergeTable read_merges(const fs::path& file, const Vocabulary& vocabulary) {
  MergeTable table;
  for_each_merge(file, [&](std::string_view line, std::int64_t number) {
    add_merge_line(line, number, vocabulary, table);
  });
  return table;
}

Surroundings surroundings_of(const TokenizerConfig& config, const SequenceEnds& ends) {
  Surroundings around;
  if (config.add_bos_token.value_or(false) && ends.bos >= 0) around.before = {ends.bos};
  return around;
}

std::unique_ptr<BpeTokenizer> open_bpe(const fs::path& folder) {
  TokenizerConfig config = read_tokenizer_config(folder);
  const Family family = family_of(config);
  const io::Json json = io::read_json(folder / "vocab.json");
  Vocabulary vocabulary(JsonNode(json, "vocab.json"));
  MergeTable merges = read_merges(folder / "merges.txt", vocabulary);
  add_to_vocabulary(config.added_tokens, vocabulary);
  const SequenceEnds ends = sequence_ends(config, vocabulary);
  const bool qwen2 = family == Family::qwen2;
  return std::make_unique<BpeTokenizer>(
      BpeTokenizerParts{Bpe(std::move(vocabulary), std::move(merges), {}),
                        std::move(config.added_tokens), qwen2 ? Normalizer::nfc() : Normalizer(),
                        PreTokenizer::split_then_bytes(qwen2 ? kQwen2Pattern : kGpt2Pattern),
                        surroundings_of(config, ends), Decoder::byte_level(), ends});
}

std::unique_ptr<Tokenizer> open(const fs::path& folder) { return open_bpe(folder); }

std::optional<TokenTable> table(const fs::path& folder) {
  std::vector<std::string> merges;
  for_each_merge(folder / "merges.txt", [&](std::string_view line, std::int64_t /*number*/) {
    merges.emplace_back(line);
  });
  TokenTable table = open_bpe(folder)->table(std::move(merges));
  const TokenizerConfig config = read_tokenizer_config(folder);
  const bool qwen2 = family_of(config) == Family::qwen2;
  table.word_patterns = {std::string(qwen2 ? kQwen2Pattern : kGpt2Pattern)};
  name_other_specials(config, table);
  return table;
}

}  // namespace

extern const TokenizerKind vocab_merges_kind;
constinit const TokenizerKind vocab_merges_kind = {
    "vocab.json+merges.txt", "byte-level BPE of Qwen2 and GPT-2 in two files", probe, open, table};

}  // namespace pare::text
