#include "check/json_view.h"

#include <limits>

namespace pare::check {

const io::Json* member(const io::Json& json, std::string_view key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(std::string(key));
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

const io::Json* member(const io::Json& json, std::string_view key, std::string_view other) {
  const io::Json* first = member(json, key);
  return first != nullptr ? first : member(json, other);
}

std::optional<std::string> text_of(const io::Json* value) {
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

std::optional<std::int64_t> integer_of(const io::Json* value) {
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > kLargest) return std::nullopt;
  return value->get<std::int64_t>();
}

std::optional<bool> flag_of(const io::Json* value) {
  if (value == nullptr || !value->is_boolean()) return std::nullopt;
  return value->get<bool>();
}

std::vector<std::string> texts_of(const io::Json* value) {
  std::vector<std::string> texts;
  if (value == nullptr || !value->is_array()) return texts;
  for (const io::Json& entry : *value) {
    if (entry.is_string()) texts.push_back(entry.get<std::string>());
  }
  return texts;
}

std::string shown(const io::Json* value) {
  if (value == nullptr) return "absent";
  constexpr std::size_t kMost = 60;
  std::string text = value->dump(-1, ' ', true, io::Json::error_handler_t::replace);
  if (text.size() > kMost) text.replace(kMost, std::string::npos, "...");
  return text;
}

std::string lower_case(std::string text) {
  for (char& c : text)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

}  // namespace pare::check
