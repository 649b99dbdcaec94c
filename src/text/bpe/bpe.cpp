#include "text/bpe/bpe.h"

#include "text/unicode/unicode.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

namespace pare::text {

namespace {

std::uint64_t key_of(TokenId left, TokenId right) noexcept {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

// The ids of a word as a list whose links skip what was merged away.
struct Symbol {
  TokenId id = -1;  // -1 once merged into its left neighbour
  std::int32_t previous = -1;
  std::int32_t next = -1;
};

struct Candidate {
  std::int32_t rank = 0;
  std::int32_t left = 0;  // index of the left symbol
  TokenId result = 0;

  // std::priority_queue gives the greatest first; we want the lowest rank, then the leftmost.
  friend bool operator<(const Candidate& a, const Candidate& b) noexcept {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  }
};

class Merger {
 public:
  Merger(const MergeTable& merges, std::vector<TokenId>& ids) : merges_(merges), ids_(ids) {
    const auto n = static_cast<std::int32_t>(ids.size());
    symbols_.reserve(ids.size());
    for (std::int32_t i = 0; i < n; ++i) {
      symbols_.push_back({ids[static_cast<std::size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1});
    }
    for (std::int32_t i = 0; i + 1 < n; ++i)
      consider(i);
  }

  void run() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (still_valid(best)) join(best);
    }
    ids_.clear();
    for (std::int32_t i = 0; i >= 0; i = symbol(i).next)
      ids_.push_back(symbol(i).id);
  }

 private:
  Symbol& symbol(std::int32_t i) { return symbols_[static_cast<std::size_t>(i)]; }

  void consider(std::int32_t left) {
    const Symbol& a = symbol(left);
    if (a.next < 0) return;
    const MergeTable::Merge* merge = merges_.find(a.id, symbol(a.next).id);
    if (merge != nullptr) queue_.push({merge->rank, left, merge->result});
  }

  // A candidate outlives the symbols it was made for. What counts is that the two which stand
  // there now still join to the same piece.
  bool still_valid(const Candidate& candidate) {
    const Symbol& a = symbol(candidate.left);
    if (a.id < 0 || a.next < 0) return false;
    const MergeTable::Merge* merge = merges_.find(a.id, symbol(a.next).id);
    return merge != nullptr && merge->result == candidate.result;
  }

  void join(const Candidate& candidate) {
    Symbol& a = symbol(candidate.left);
    Symbol& b = symbol(a.next);
    a.id = candidate.result;
    a.next = b.next;
    b.id = -1;
    if (a.next >= 0) symbol(a.next).previous = candidate.left;
    if (a.previous >= 0) consider(a.previous);
    consider(candidate.left);
  }

  const MergeTable& merges_;
  std::vector<TokenId>& ids_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

void MergeTable::add(const Vocabulary& vocabulary, std::string_view left, std::string_view right) {
  const std::string joined = std::string(left).append(right);
  const auto id_of = [&](std::string_view piece) {
    const std::optional<TokenId> id = vocabulary.id_of(piece);
    if (!id) {
      throw Error(
          ErrorCode::bad_tokenizer,
          fmt::format("merge {} (\"{}\" \"{}\") needs the piece \"{}\", which is not in the "
                      "vocabulary",
                      next_rank_, left, right, piece));
    }
    return *id;
  };
  merges_[key_of(id_of(left), id_of(right))] = {next_rank_, id_of(joined)};
  ++next_rank_;
}

const MergeTable::Merge* MergeTable::find(TokenId left, TokenId right) const noexcept {
  const auto found = merges_.find(key_of(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void merge_pairs(const MergeTable& merges, std::vector<TokenId>& ids) {
  if (ids.size() > 1) Merger(merges, ids).run();
}

Bpe::Bpe(Vocabulary vocabulary, MergeTable merges, BpeOptions options)
    : vocabulary_(std::move(vocabulary)), merges_(std::move(merges)), options_(std::move(options)) {
  if (!options_.unknown.empty()) {
    unknown_id_ = vocabulary_.id_of(options_.unknown);
    if (!unknown_id_) {
      throw Error(ErrorCode::bad_tokenizer,
                  fmt::format("unknown token \"{}\" is not in the vocabulary", options_.unknown));
    }
  }
  if (!options_.byte_fallback) return;
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_ids_.push_back(vocabulary_.id_of(fmt::format("<0x{:02X}>", byte)));
  }
}

// Either all bytes of the character have pieces or none is taken.
bool Bpe::spell_bytes(std::string_view character, std::vector<TokenId>& out) const {
  if (!options_.byte_fallback) return false;
  const auto id_of = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
  if (!std::all_of(character.begin(), character.end(),
                   [&](char c) { return id_of(c).has_value(); })) {
    return false;
  }
  for (const char c : character)
    out.push_back(*id_of(c));
  return true;
}

std::vector<TokenId> Bpe::characters_of(std::string_view word) const {
  std::vector<TokenId> ids;
  ids.reserve(word.size());
  // An unknown id waits for the next known character. Bytes spelt meanwhile overtake it: the
  // reference implementation orders them so, and exact ids matter more than beauty.
  std::size_t waiting = 0;
  const auto flush = [&] {
    ids.insert(ids.end(), waiting, unknown_id_.value_or(0));
    waiting = 0;
  };
  for (std::size_t at = 0; at < word.size();) {
    const std::string_view character = word.substr(at, code_point_at(word, at).bytes);
    at += character.size();
    if (const auto id = vocabulary_.id_of(character)) {
      flush();
      ids.push_back(*id);
    } else if (!spell_bytes(character, ids) && unknown_id_) {
      if (!options_.fuse_unknown) flush();
      waiting = 1;
    }
  }
  flush();
  return ids;
}

void Bpe::encode(std::string_view word, std::vector<TokenId>& out) const {
  if (word.empty()) return;
  if (options_.ignore_merges) {
    if (const auto id = vocabulary_.id_of(word)) {
      out.push_back(*id);
      return;
    }
  }
  std::vector<TokenId> ids = characters_of(word);
  merge_pairs(merges_, ids);
  out.insert(out.end(), ids.begin(), ids.end());
}

}  // namespace pare::text
