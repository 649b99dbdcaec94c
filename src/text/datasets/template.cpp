#include "text/datasets/template.h"

#include "pare/error.h"
#include "text/datasets/chat.h"

#include <fmt/format.h>

namespace pare::text {

namespace {

constexpr std::size_t kNamesShown = 20;

// What a backslash and the character behind it stand for; 0 = the backslash itself.
char unescaped(std::string_view source, std::size_t at) {
  if (source[at] != '\\' || at + 1 >= source.size()) return '\0';
  switch (source[at + 1]) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '\\':
      return '\\';
    default:
      return '\0';
  }
}

}  // namespace

Template::Template(std::string_view source) : source_(source) {
  for (std::size_t at = 0; at < source.size();) {
    const std::string_view two = source.substr(at, 2);
    if (two == "{{" || two == "}}") {
      add_literal(source[at]);
      at += 2;
    } else if (const char c = unescaped(source, at)) {
      add_literal(c);
      at += 2;
    } else if (source[at] != '{') {
      add_literal(source[at++]);
    } else {
      const std::size_t end = source.find('}', at);
      if (end == std::string_view::npos || end == at + 1) {
        throw Error(
            ErrorCode::bad_option_value,
            fmt::format("template \"{}\": \"{{\" at character {} names no field", source, at + 1))
            .hint("write {field}, and {{ for a brace in the text");
      }
      parts_.push_back({std::string(source.substr(at + 1, end - at - 1)), true});
      at = end + 1;
    }
  }
}

void Template::add_literal(char c) {
  if (parts_.empty() || parts_.back().is_field) parts_.push_back({});
  parts_.back().text += c;
}

std::string Template::fill(const io::Json& record, const std::string& where) const {
  std::string out;
  for (const Part& part : parts_) {
    if (!part.is_field) {
      out += part.text;
      continue;
    }
    const auto field = record.is_object() ? record.find(part.text) : record.end();
    if (field == record.end()) {
      throw Error(ErrorCode::template_field_missing,
                  fmt::format("\"{}\" of template \"{}\"", part.text, source_))
          .at(where)
          .hint("fields there are: " + field_names(record));
    }
    out += field_text(*field, part.text, where);
  }
  return out;
}

std::string field_names(const io::Json& record) {
  if (!record.is_object() || record.empty()) return "none";
  std::string names;
  std::size_t shown = 0;
  for (const auto& [name, value] : record.items()) {
    if (shown++ == kNamesShown) return names + ", …";
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

std::string field_text(const io::Json& value, std::string_view name, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return {};
  if (value.is_number() || value.is_boolean()) return io::json_text(value);
  if (auto chat = find_chat(value)) {
    chat->field = name;
    refuse_chat(*chat, where, false);
  }
  throw Error(ErrorCode::bad_dataset,
              fmt::format("field \"{}\" is an {}, not text", name, value.type_name()))
      .at(where);
}

}  // namespace pare::text
