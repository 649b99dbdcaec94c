#include "eval/text_stream.h"

#include <algorithm>
#include <span>

namespace pare::eval {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kTokensBehind = 8;
/// A character has at most four bytes, each at worst a token of its own.
constexpr std::size_t kMostPartsOfCharacter = 4;

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

}  // namespace

TextStream::TextStream(const text::Tokenizer& tokenizer, std::vector<text::TokenId> behind)
    : tokenizer_(tokenizer), ids_(std::move(behind)) {
  if (ids_.size() > kTokensBehind) {
    ids_.erase(ids_.begin(), ids_.end() - static_cast<std::ptrdiff_t>(kTokensBehind));
  }
  shown_to_ = ids_.size();
}

std::string TextStream::pending() const {
  const std::span<const text::TokenId> ids(ids_);
  const std::string before = tokenizer_.decode(ids.subspan(shown_from_, shown_to_ - shown_from_));
  const std::string whole = tokenizer_.decode(ids.subspan(shown_from_));
  // A character that was cut at shown_to_ ends `before` in U+FFFD and is whole in `whole`.
  const auto end = std::mismatch(before.begin(), before.end(), whole.begin(), whole.end());
  auto first = static_cast<std::size_t>(end.second - whole.begin());
  while (first > 0 && first < whole.size() && is_continuation(whole[first]))
    --first;
  return whole.substr(first);
}

std::string TextStream::hand_out(const std::string& text) {
  const std::size_t behind = std::min(kTokensBehind, ids_.size());
  shown_from_ = ids_.size() - behind;
  shown_to_ = ids_.size();
  return text;
}

std::string TextStream::add(text::TokenId id) {
  ids_.push_back(id);
  const std::string text = pending();
  const bool cut = text.ends_with(kReplacement);
  if (cut && ids_.size() - shown_to_ < kMostPartsOfCharacter) return "";
  return hand_out(text);
}

std::string TextStream::finish() { return shown_to_ == ids_.size() ? "" : hand_out(pending()); }

}  // namespace pare::eval
