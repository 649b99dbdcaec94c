// Prompt templates: "{passage}\nQuestion:{question}?"
#pragma once

#include "io/json.h"

#include <string>
#include <string_view>
#include <vector>

namespace pare::text {

/// Text with {field}s. "{{" and "}}" give one brace; a single "}" stands for itself; \n, \t and
/// \\ give newline, tab and backslash, so that a template can be typed in a shell.
class Template {
 public:
  /// Errors: bad_option_value when a "{" is not closed or names nothing.
  explicit Template(std::string_view source);

  /// The text for one record; numbers and booleans are written as JSON does, null as nothing.
  /// Errors: template_field_missing naming the field and those that exist; bad_dataset when a field
  /// holds an array or an object. Both are placed at `where`.
  std::string fill(const io::Json& record, const std::string& where) const;

 private:
  struct Part {
    std::string text;  // literal, or the name of a field
    bool is_field = false;
  };

  void add_literal(char c);

  std::string source_;
  std::vector<Part> parts_;
};

/// "a, b, c": the members of an object, for messages.
std::string field_names(const io::Json& record);

/// The text of a single field. Errors: bad_dataset when it is an array or an object.
std::string field_text(const io::Json& value, std::string_view name, const std::string& where);

}  // namespace pare::text
