#include "text/bpe/merge_scores.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace pare::text {
namespace {

/// Of tokens that nothing joins to.
constexpr float kScoreOfOthers = -1e6F;

[[noreturn]] void refuse(const std::string& token) {
  throw Error(ErrorCode::tokenizer_not_supported,
              fmt::format("the merges of \"{}\" are not those of a SentencePiece model", token))
      .at("tokenizer.json")
      .hint("add the tokenizer.model that it was made from, or choose another format");
}

bool is_continuation(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

class ScoreMaker {
 public:
  explicit ScoreMaker(TokenTable& table) : table_(table) {
    for (std::size_t i = 0; i < table.tokens.size(); ++i)
      ids_.emplace(table.tokens[i], i);
    table_.scores.assign(table.tokens.size(), kScoreOfOthers);
  }

  void add_merges() {
    std::size_t current = table_.tokens.size();
    for (std::size_t rank = 0; rank < table_.merges.size(); ++rank) {
      const std::string& merge = table_.merges[rank];
      const std::size_t space = merge.find(' ');
      const std::string joined = merge.substr(0, space) + merge.substr(space + 1);
      const auto found = ids_.find(joined);
      if (found == ids_.end()) refuse(joined);
      splits_.insert(merge);
      if (found->second == current) continue;
      current = found->second;
      if (table_.scores[current] != kScoreOfOthers) refuse(joined);
      table_.scores[current] = -static_cast<float>(rank);
    }
  }

  void check_complete() const {
    for (std::size_t i = 0; i < table_.tokens.size(); ++i) {
      if (table_.types[i] == TokenType::normal) check_splits(table_.tokens[i]);
    }
  }

 private:
  void check_splits(const std::string& token) const {
    const std::string_view all(token);
    for (std::size_t at = 1; at < all.size(); ++at) {
      if (is_continuation(all[at])) continue;
      const std::string_view left = all.substr(0, at);
      const std::string_view right = all.substr(at);
      if (!joins(left) || !joins(right)) continue;
      if (!splits_.contains(std::string(left).append(" ").append(right))) refuse(token);
    }
  }

  bool joins(std::string_view token) const {
    const auto found = ids_.find(token);
    return found != ids_.end() && table_.types[found->second] == TokenType::normal;
  }

  TokenTable& table_;
  std::unordered_map<std::string_view, std::size_t> ids_;
  std::unordered_set<std::string> splits_;
};

}  // namespace

void merges_to_scores(TokenTable& table) {
  ScoreMaker maker(table);
  maker.add_merges();
  maker.check_complete();
  table.algorithm = TokenTable::Algorithm::scores;
  table.merges.clear();
}

}  // namespace pare::text
