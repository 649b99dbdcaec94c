// Text to token ids and back, exactly as the model's own tokenizer does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::text {

using TokenId = std::int32_t;

struct TokenTable;  // token_table.h

/// Threads: const members may be called from several threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of `text` with the special tokens that the tokenizer adds by default (BOS, …).
  virtual std::vector<TokenId> encode(std::string_view text) const = 0;
  /// Ids of `text` alone. Special-token strings inside the text are recognised as the tokenizer
  /// does.
  virtual std::vector<TokenId> encode_plain(std::string_view text) const = 0;

  /// Text of `ids`; special tokens are left out. Bytes of an incomplete UTF-8 sequence become
  /// U+FFFD.
  virtual std::string decode(std::span<const TokenId> ids) const = 0;

  /// The vocabulary's own spelling of one id ("▁the", "Ġthe", "<0x0A>"). Errors:
  /// token_out_of_range.
  virtual std::string piece(TokenId id) const = 0;

  /// Highest id + 1, added tokens included.
  virtual std::int64_t vocab_size() const noexcept = 0;

  /// Id of the begin-of-sequence token, or -1 when there is none.
  virtual TokenId bos_id() const noexcept = 0;
  /// Id of the end-of-sequence token, or -1.
  virtual TokenId eos_id() const noexcept = 0;
  /// Whether encode() puts BOS first.
  virtual bool adds_bos() const noexcept = 0;
};

/// A kind of tokenizer files. Listed in tokenizers.def; tried in that order.
struct TokenizerKind {
  std::string_view id;
  std::string_view summary;
  /// Whether the model folder holds the files of this kind.
  bool (*probe)(const std::filesystem::path& folder) noexcept;
  /// Errors: bad_tokenizer, tokenizer_not_supported.
  std::unique_ptr<Tokenizer> (*open)(const std::filesystem::path& folder);
  /// The vocabulary as a table; nullopt when another kind's files beside these say it better.
  /// Errors: as `open`, and tokenizer_not_supported for what no table can say.
  std::optional<TokenTable> (*table)(const std::filesystem::path& folder);
};

std::span<const TokenizerKind* const> tokenizer_kinds() noexcept;

/// The tokenizer of a model folder. Errors: tokenizer_missing naming the files looked for.
std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& folder);

/// True when open_tokenizer would find files.
bool has_tokenizer(const std::filesystem::path& folder) noexcept;

}  // namespace pare::text
