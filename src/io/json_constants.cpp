#include "io/json_constants.h"

#include <algorithm>
#include <array>
#include <limits>

namespace pare::io {
namespace {

// The longer one first: it ends like the other.
constexpr std::array<std::string_view, 3> kWords = {"-Infinity", "Infinity", "NaN"};

std::string_view word_at(std::string_view text, std::size_t at) noexcept {
  for (const std::string_view word : kWords) {
    if (text.substr(at, word.size()) == word) return word;
  }
  return {};
}

/// Behind the closing quote of the string that begins at `at`, or the end of the text.
std::size_t end_of_string(std::string_view text, std::size_t at) noexcept {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    i = text.find_first_of("\"\\", i);
    if (i == std::string_view::npos) break;
    if (text[i] == '"') return i + 1;
    ++i;  // what an escape begins with stands for itself
  }
  return text.size();
}

}  // namespace

std::optional<std::string> with_constants_quoted(std::string_view text) {
  const bool may_hold = std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
  if (!may_hold) return std::nullopt;
  std::optional<std::string> changed;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      at = end_of_string(text, at);
      continue;
    }
    const std::string_view word = word_at(text, at);
    if (word.empty()) {
      ++at;
      continue;
    }
    if (!changed) changed = std::string(text);
    (*changed)[at] = '"';
    (*changed)[at + word.size() - 1] = '"';
    at += word.size();
  }
  return changed;
}

std::string_view constant_before(std::string_view text, std::size_t end) noexcept {
  const std::string_view before = text.substr(0, end);
  for (const std::string_view word : kWords) {
    if (before.ends_with(word)) return word;
  }
  return {};
}

double constant_value(std::string_view word) noexcept {
  if (word == "NaN") return std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  return word.starts_with('-') ? -infinity : infinity;
}

}  // namespace pare::io
