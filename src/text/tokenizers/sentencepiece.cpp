// tokenizer.model of SentencePiece, with LLaMA's rules for the tokens around and added to it.
// Source: Kudo and Richardson, arXiv:1808.06226; the pieces are found by their own library.
#include "io/file.h"
#include "text/bpe/sentencepiece_model.h"
#include "text/json/added_tokens.h"
#include "text/json/tokenizer_config.h"
#include "text/token_table.h"
#include "text/unicode/unicode.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace pare::text {

namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "tokenizer.model";
constexpr std::size_t kMaxModelBytes = std::size_t{256} << 20;

bool probe(const fs::path& folder) noexcept {
  std::error_code ignored;
  return fs::is_regular_file(folder / kFile, ignored);
}

[[noreturn]] void fail(const sentencepiece::util::Status& status) {
  throw Error(ErrorCode::bad_tokenizer, status.error_message()).at(kFile);
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& model, const TokenizerConfig& config) {
    if (const auto status = processor_.LoadFromSerializedProto(model); !status.ok()) fail(status);
    pieces_ = processor_.GetPieceSize();
    for (const AddedToken& token : config.added_tokens)
      add(token);
    choose_ends(config);
  }

  std::vector<TokenId> encode(std::string_view text) const override {
    std::vector<TokenId> ids;
    if (add_bos_) ids.push_back(bos_);
    append(text, ids);
    if (add_eos_) ids.push_back(eos_);
    return ids;
  }

  std::vector<TokenId> encode_plain(std::string_view text) const override {
    std::vector<TokenId> ids;
    append(text, ids);
    return ids;
  }

  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    std::vector<int> run;
    const auto flush = [&] {
      if (!run.empty()) text += processor_.DecodeIds(run);
      run.clear();
    };
    for (const TokenId id : ids) {
      if (id >= 0 && id < pieces_) {
        run.push_back(id);
        continue;
      }
      flush();
      const AddedToken* token = added(id);
      if (token != nullptr && !token->special) text += token->content;
    }
    flush();
    return to_valid_utf8(text);
  }

  std::string piece(TokenId id) const override {
    if (id >= 0 && id < pieces_) return processor_.IdToPiece(id);
    if (const AddedToken* token = added(id)) return token->content;
    throw Error(ErrorCode::token_out_of_range,
                fmt::format("{} is no id of this vocabulary of {}", id, vocab_size()));
  }

  std::int64_t vocab_size() const noexcept override {
    return added_.empty() ? pieces_ : added_.back().id + 1;
  }
  TokenId bos_id() const noexcept override { return bos_; }
  TokenId eos_id() const noexcept override { return eos_; }
  bool adds_bos() const noexcept override { return add_bos_; }

  TokenTable table(const SentencePieceSettings& settings) const {
    TokenTable table;
    table.algorithm = TokenTable::Algorithm::scores;
    for (TokenId id = 0; id < pieces_; ++id) {
      put_token(table, id, processor_.IdToPiece(id), type_of(id));
      table.scores.push_back(processor_.GetScore(id));
    }
    for (const AddedToken& token : added_) {
      put_token(table, token.id, token.content,
                token.special ? TokenType::control : TokenType::user_defined);
    }
    table.scores.resize(table.tokens.size(), kScoreOfAdded);
    table.space_prefix = settings.space_prefix;
    table.collapse_spaces = settings.collapse_spaces;
    table.normalizes = settings.maps_characters;
    table.bos = bos_;
    table.eos = eos_;
    table.unknown = processor_.unk_id();
    table.padding = processor_.pad_id();
    table.add_bos = add_bos_;
    table.add_eos = add_eos_;
    return table;
  }

 private:
  /// Added tokens are found before scores are asked for.
  static constexpr float kScoreOfAdded = -1000;

  TokenType type_of(TokenId id) const {
    if (processor_.IsUnknown(id)) return TokenType::unknown;
    if (processor_.IsControl(id)) return TokenType::control;
    if (processor_.IsUnused(id)) return TokenType::unused;
    return processor_.IsByte(id) ? TokenType::byte : TokenType::normal;
  }

  // Tokens inside the model's own range are its control pieces, which never match text; those
  // behind it exist in no model and are cut out of the text.
  void add(const AddedToken& token) {
    if (token.id < pieces_ || token.content.empty()) return;
    if (!added_.empty() && added_.back().id == token.id) {
      throw Error(ErrorCode::bad_tokenizer, fmt::format("two added tokens have id {}", token.id));
    }
    added_.push_back(token);
    finder_.add(token, token.content);
  }

  const AddedToken* added(TokenId id) const {
    const auto found = std::lower_bound(added_.begin(), added_.end(), id,
                                        [](const AddedToken& t, TokenId i) { return t.id < i; });
    return found == added_.end() || found->id != id ? nullptr : &*found;
  }

  TokenId id_of(const std::string& content) const {
    for (const AddedToken& token : added_) {
      if (token.content == content) return token.id;
    }
    const int id = processor_.PieceToId(content);
    return processor_.IdToPiece(id) == content ? id : -1;
  }

  void choose_ends(const TokenizerConfig& config) {
    bos_ = config.bos_token ? id_of(*config.bos_token) : -1;
    eos_ = config.eos_token ? id_of(*config.eos_token) : -1;
    if (!config.bos_mentioned) bos_ = processor_.bos_id();
    if (eos_ < 0) eos_ = processor_.eos_id();
    if (eos_ < 0 && config.eos_id && *config.eos_id < vocab_size()) eos_ = *config.eos_id;
    // Other classes than LLaMA's add BOS only where they are told to.
    const bool llama = config.tokenizer_class.empty() || is_llama_class(config);
    add_bos_ = config.add_bos_token.value_or(llama) && bos_ >= 0;
    add_eos_ = config.add_eos_token.value_or(false) && eos_ >= 0;
  }

  void append(std::string_view text, std::vector<TokenId>& ids) const {
    if (finder_.empty()) return append_pieces(text, ids);
    const std::string valid = to_valid_utf8(text);
    for (const AddedTokenFinder::Part& part : finder_.split(valid)) {
      if (part.id) {
        ids.push_back(*part.id);
      } else {
        const std::string_view all(valid);
        append_pieces(all.substr(part.span.begin, part.span.end - part.span.begin), ids);
      }
    }
  }

  void append_pieces(std::string_view text, std::vector<TokenId>& ids) const {
    std::vector<int> found;
    if (const auto status = processor_.Encode(text, &found); !status.ok()) fail(status);
    ids.insert(ids.end(), found.begin(), found.end());
  }

  sentencepiece::SentencePieceProcessor processor_;
  TokenId pieces_ = 0;
  std::vector<AddedToken> added_;  // behind the model's pieces, by id
  AddedTokenFinder finder_;
  TokenId bos_ = -1;
  TokenId eos_ = -1;
  bool add_bos_ = false;
  bool add_eos_ = false;
};

std::unique_ptr<SentencePieceTokenizer> open_model(const fs::path& folder,
                                                   const std::string& model) {
  check_sentencepiece_model(model);
  const TokenizerConfig config = read_tokenizer_config(folder);
  try {
    return std::make_unique<SentencePieceTokenizer>(model, config);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {  // the library's own, from building its tries
    throw Error(ErrorCode::bad_tokenizer, error.what()).at(kFile);
  }
}

std::unique_ptr<Tokenizer> open(const fs::path& folder) {
  return open_model(folder, io::read_text(folder / kFile, kMaxModelBytes));
}

std::optional<TokenTable> table(const fs::path& folder) {
  const std::string model = io::read_text(folder / kFile, kMaxModelBytes);
  const auto tokenizer = open_model(folder, model);
  const SentencePieceSettings settings = read_sentencepiece_settings(model);
  if (settings.joins_by_score) {
    TokenTable table = tokenizer->table(settings);
    name_other_specials(read_tokenizer_config(folder), table);
    return table;
  }
  throw Error(ErrorCode::tokenizer_not_supported,
              "a SentencePiece model that does not join pieces by score (unigram, word or char)")
      .at(kFile)
      .hint("choose a format that leaves the tokenizer in its own files");
}

}  // namespace

extern const TokenizerKind sentencepiece_kind;
constinit const TokenizerKind sentencepiece_kind = {
    "sentencepiece", "SentencePiece tokenizer.model with LLaMA's rules", probe, open, table};

}  // namespace pare::text
