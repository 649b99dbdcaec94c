// Byte-pair encoding: a word's characters, and the merges that join them.
#pragma once

#include "text/json/vocabulary.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pare::text {

struct BpeOptions {
  std::string unknown = {};    // piece for characters that are in no piece; "" = they are left out
  bool fuse_unknown = false;   // neighbouring unknown characters give one id
  bool byte_fallback = false;  // unknown characters are spelt "<0xHH>" byte by byte
  bool ignore_merges = false;  // a word that is a piece as a whole is taken as it is
};

/// Which pairs of ids join to which id, and in what order.
class MergeTable {
 public:
  struct Merge {
    std::int32_t rank = 0;
    TokenId result = 0;
  };

  /// Adds the pair with the next rank. A pair given twice keeps its later rank.
  /// Errors: bad_tokenizer when one of the two or their union is not a piece.
  void add(const Vocabulary& vocabulary, std::string_view left, std::string_view right);

  const Merge* find(TokenId left, TokenId right) const noexcept;
  void reserve(std::size_t pairs) { merges_.reserve(pairs); }

 private:
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::int32_t next_rank_ = 0;
};

/// Joins pairs within `ids` until none is left to join: always the pair of lowest rank, leftmost
/// first. Cost: O(n log n) for n ids.
/// Source: Sennrich et al., arXiv:1508.07909, sec. 3.2
void merge_pairs(const MergeTable& merges, std::vector<TokenId>& ids);

/// Threads: const members may be called from several threads at once.
class Bpe {
 public:
  /// Errors: bad_tokenizer when `unknown` is not a piece.
  Bpe(Vocabulary vocabulary, MergeTable merges, BpeOptions options);

  /// Appends the ids of one word.
  void encode(std::string_view word, std::vector<TokenId>& out) const;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  Vocabulary& vocabulary() noexcept { return vocabulary_; }

 private:
  std::vector<TokenId> characters_of(std::string_view word) const;
  bool spell_bytes(std::string_view character, std::vector<TokenId>& out) const;

  Vocabulary vocabulary_;
  MergeTable merges_;
  BpeOptions options_;
  std::optional<TokenId> unknown_id_;
  std::vector<std::optional<TokenId>> byte_ids_;  // 256 entries with byte_fallback
};

}  // namespace pare::text
