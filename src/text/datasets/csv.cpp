#include "text/datasets/csv.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::text {

std::optional<std::vector<std::string>> CsvReader::next() {
  if (at_ >= text_.size()) return std::nullopt;
  record_line_ = line_;
  std::vector<std::string> fields;
  for (;;) {
    fields.push_back(field());
    if (at_ >= text_.size()) return fields;
    if (at_line_end()) break;
    ++at_;  // the comma
    if (at_ < text_.size()) continue;
    fields.emplace_back();
    return fields;
  }
  skip_line_end();
  return fields;
}

bool CsvReader::at_line_end() const noexcept { return text_[at_] == '\n' || text_[at_] == '\r'; }

void CsvReader::skip_line_end() {
  at_ += text_.substr(at_, 2) == "\r\n" ? 2U : 1U;
  ++line_;
}

std::string CsvReader::field() {
  if (at_ < text_.size() && text_[at_] == '"') return quoted_field();
  const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
  std::string value(text_.substr(at_, end - at_));
  at_ = end;
  return value;
}

std::string CsvReader::quoted_field() {
  const std::int64_t first_line = line_;
  std::string value;
  for (++at_;;) {
    const std::size_t quote = text_.find('"', at_);
    if (quote == std::string_view::npos) {
      throw Error(ErrorCode::bad_dataset, "a quoted field is never closed")
          .at(fmt::format("{}:{}", name_, first_line));
    }
    const std::string_view part = text_.substr(at_, quote - at_);
    line_ += std::count(part.begin(), part.end(), '\n');
    value += part;
    at_ = quote + 1;
    if (text_.substr(at_, 1) != "\"") break;
    value += '"';
    ++at_;
  }
  if (at_ < text_.size() && text_[at_] != ',' && !at_line_end()) {
    throw Error(ErrorCode::bad_dataset, "text behind the closing quote of a field")
        .at(fmt::format("{}:{}", name_, line_))
        .hint("a quote inside a quoted field is written twice");
  }
  return value;
}

}  // namespace pare::text
