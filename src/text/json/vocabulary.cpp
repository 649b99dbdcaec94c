#include "text/json/vocabulary.h"

#include <fmt/format.h>

#include <utility>

namespace pare::text {

Vocabulary::Vocabulary(const JsonNode& node) {
  if (!node.value().is_object()) throw node.error("expected an object of pieces and ids");
  ids_.reserve(node.value().size());
  for (const auto& [piece, id] : node.value().items()) {
    if (!id.is_number_integer())
      throw node.error(fmt::format("id of \"{}\" is not a whole number", piece));
    try {
      add(piece, JsonNode(id, node.path()).integer());
    } catch (Error& error) {
      if (error.where().empty()) error.at(node.path());
      throw;
    }
  }
}

void Vocabulary::add(std::string piece, std::int64_t id) {
  if (id < 0 || id >= kMaxIds) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("\"{}\" has id {}, allowed are 0 to {}", piece, id, kMaxIds - 1));
  }
  const auto index = static_cast<std::size_t>(id);
  const std::string* holder = index < by_id_.size() ? by_id_[index] : nullptr;
  if (holder != nullptr && *holder == piece) return;
  if (holder != nullptr) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("\"{}\" and \"{}\" both have id {}", *holder, piece, id));
  }
  if (const auto known = ids_.find(piece); known != ids_.end()) {
    throw Error(ErrorCode::bad_tokenizer,
                fmt::format("\"{}\" has two ids, {} and {}", piece, known->second, id));
  }
  if (index >= by_id_.size()) by_id_.resize(index + 1, nullptr);
  const std::string& stored = pieces_.emplace_back(std::move(piece));
  by_id_[index] = &stored;
  ids_.emplace(stored, static_cast<TokenId>(id));
}

std::optional<TokenId> Vocabulary::id_of(std::string_view piece) const noexcept {
  const auto found = ids_.find(piece);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* Vocabulary::piece(TokenId id) const noexcept {
  if (id < 0 || id >= size()) return nullptr;
  return by_id_[static_cast<std::size_t>(id)];
}

}  // namespace pare::text
