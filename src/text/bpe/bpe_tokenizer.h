// A tokenizer put together from parts: added tokens, normalizer, pre-tokenizer, BPE, surroundings,
// decoder. Both tokenizer.json and vocab.json + merges.txt end here.
#pragma once

#include "text/bpe/bpe.h"
#include "text/json/added_tokens.h"
#include "text/json/decoder.h"
#include "text/json/normalizer.h"
#include "text/json/post_processor.h"
#include "text/json/pre_tokenizer.h"
#include "text/json/tokenizer_config.h"
#include "text/token_table.h"
#include "text/tokenizer.h"

#include <string>
#include <unordered_set>
#include <vector>

namespace pare::text {

struct BpeTokenizerParts {
  Bpe bpe;
  std::vector<AddedToken> added_tokens;  // in the order of the file
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Surroundings surroundings;
  Decoder decoder;
  SequenceEnds ends;
};

/// Adds the contents of `tokens` to the vocabulary under their own ids.
/// Errors: bad_tokenizer when an id is taken or a content known under another id.
void add_to_vocabulary(const std::vector<AddedToken>& tokens, Vocabulary& vocabulary);

class BpeTokenizer final : public Tokenizer {
 public:
  /// The added tokens must be in the vocabulary already.
  explicit BpeTokenizer(BpeTokenizerParts parts);

  std::vector<TokenId> encode(std::string_view text) const override;
  std::vector<TokenId> encode_plain(std::string_view text) const override;
  /// Ids that stand for nothing are passed over.
  std::string decode(std::span<const TokenId> ids) const override;
  std::string piece(TokenId id) const override;
  std::int64_t vocab_size() const noexcept override { return parts_.bpe.vocabulary().size(); }
  TokenId bos_id() const noexcept override { return parts_.ends.bos; }
  TokenId eos_id() const noexcept override { return parts_.ends.eos; }
  bool adds_bos() const noexcept override;
  /// All but how words are cut and text is normalized.
  TokenTable table(std::vector<std::string> merges) const;

 private:
  void encode_stretch(std::string_view stretch, bool at_start, std::vector<TokenId>& out) const;

  BpeTokenizerParts parts_;
  AddedTokenFinder raw_tokens_;         // looked for in the text as it is
  AddedTokenFinder normalized_tokens_;  // and in normalized text
  std::unordered_set<TokenId> special_ids_;
};

}  // namespace pare::text
