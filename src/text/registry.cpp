// The tokenizer kinds, and the choice among them for a model folder.
#include "pare/error.h"
#include "text/token_table.h"
#include "text/tokenizer.h"

#include <algorithm>

namespace pare::text {

#define PARE_TOKENIZER(name) extern const TokenizerKind name##_kind;
#include "text/tokenizers.def"
#undef PARE_TOKENIZER

namespace {

constexpr const TokenizerKind* kKinds[] = {
#define PARE_TOKENIZER(name) &name##_kind,
#include "text/tokenizers.def"
#undef PARE_TOKENIZER
};

}  // namespace

std::span<const TokenizerKind* const> tokenizer_kinds() noexcept { return kKinds; }

bool has_tokenizer(const std::filesystem::path& folder) noexcept {
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&](const TokenizerKind* kind) { return kind->probe(folder); });
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& folder) {
  for (const TokenizerKind* kind : kKinds) {
    if (!kind->probe(folder)) continue;
    try {
      return kind->open(folder);
    } catch (Error& error) {
      error.at(folder.string());
      throw;
    }
  }
  throw Error(ErrorCode::tokenizer_missing,
              "looked for tokenizer.json, tokenizer.model, and vocab.json with merges.txt")
      .at(folder.string())
      .hint("copy the tokenizer files of the original model into the folder");
}

std::optional<TokenTable> read_token_table(const std::filesystem::path& folder) {
  for (const TokenizerKind* kind : kKinds) {
    if (!kind->probe(folder)) continue;
    try {
      if (auto table = kind->table(folder)) return table;
    } catch (Error& error) {
      error.at(folder.string());
      throw;
    }
  }
  return std::nullopt;
}

}  // namespace pare::text
