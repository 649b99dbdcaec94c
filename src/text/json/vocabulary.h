// Pieces and their ids, both ways.
#pragma once

#include "text/json_node.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pare::text {

/// A set of pieces with distinct ids, possibly with holes. Not copyable: lookups borrow its text.
class Vocabulary {
 public:
  /// Real vocabularies end near 260,000; a larger id is a damaged file, not a vocabulary.
  static constexpr std::int64_t kMaxIds = std::int64_t{1} << 22;

  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  /// From an object {piece: id}. Errors: bad_tokenizer for ids that are no numbers, out of range or
  /// given twice.
  explicit Vocabulary(const JsonNode& node);

  /// Adds a piece; nothing happens when it has this id already.
  /// Errors (as text of bad_tokenizer): id out of range or taken, piece known under another id.
  void add(std::string piece, std::int64_t id);

  std::optional<TokenId> id_of(std::string_view piece) const noexcept;
  /// The piece, or null when no piece has this id.
  const std::string* piece(TokenId id) const noexcept;

  /// Highest id + 1.
  std::int64_t size() const noexcept { return static_cast<std::int64_t>(by_id_.size()); }

 private:
  std::deque<std::string> pieces_;  // stable addresses
  std::vector<const std::string*> by_id_;
  std::unordered_map<std::string_view, TokenId> ids_;
};

}  // namespace pare::text
