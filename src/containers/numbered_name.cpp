#include "containers/numbered_name.h"

#include <charconv>

namespace pare::containers {
namespace {

std::optional<int> number_in(std::string_view text) {
  int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || value < 1 || value > 100000)
    return std::nullopt;
  return value;
}

}  // namespace

std::optional<NumberedName> numbered_name(std::string_view file, std::string_view ending) {
  if (!file.ends_with(ending)) return std::nullopt;
  const std::string_view stem = file.substr(0, file.size() - ending.size());
  const std::size_t of = stem.rfind("-of-");
  if (of == std::string_view::npos || of == 0) return std::nullopt;
  const std::size_t dash = stem.rfind('-', of - 1);
  if (dash == std::string_view::npos) return std::nullopt;
  const auto number = number_in(stem.substr(dash + 1, of - dash - 1));
  const auto count = number_in(stem.substr(of + 4));
  if (!number || !count) return std::nullopt;
  return NumberedName{std::string(stem.substr(0, dash)), *number, *count};
}

}  // namespace pare::containers
