#include "text/datasets/records.h"

#include "pare/error.h"
#include "text/datasets/chat.h"
#include "text/datasets/csv.h"
#include "text/unicode/plain_text.h"
#include "text/unicode/unicode.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace pare::text {

namespace {

using Visitor = std::function<bool(const Record&)>;

constexpr std::string_view kBlanks = " \t\r\n";

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

// Calls fn(line, number) for the lines of `text`, without their ends, until it returns false.
template <typename Function>
void visit_lines(std::string_view text, const Function& fn) {
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!fn(line, number)) return;
  }
}

io::Json parse(std::string_view text, const std::string& where) {
  try {
    return io::parse_json(text, where);
  } catch (const Error& error) {
    throw Error(ErrorCode::bad_dataset, error.detail()).at(where).hint(error.hint());
  }
}

void visit_json_lines(std::string_view text, const std::string& name, const Visitor& visit) {
  visit_lines(text, [&](std::string_view line, std::int64_t number) {
    Record record{fmt::format("{}:{}", name, number), {}};
    try {
      if (!is_blank(line)) record.value = io::parse_json(line, record.where);
    } catch (const Error&) {
      record.problem = "not valid JSON";
    }
    return visit(record);
  });
}

void visit_array(const io::Json& array, const std::string& name, const Visitor& visit) {
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (!visit({fmt::format("{}: element {}", name, i), array[i], {}, true})) return;
  }
}

bool holds_records(const io::Json& value) {
  return value.is_array() && !value.empty() && (value[0].is_object() || value[0].is_string());
}

/// The member of an object that wraps the records; "" when the object is a record itself.
std::string wrapped_records(const io::Json& object) {
  for (const std::string_view own : {"text", "inputs_pretokenized", "input_ids", "question"}) {
    if (object.contains(own)) return "";
  }
  if (find_chat(object).has_value()) return "";
  for (const auto& [key, value] : object.items()) {
    if (holds_records(value) && value[0].is_object()) return key;
  }
  return "";
}

void visit_object(const io::Json& object, const std::string& name, const Visitor& visit) {
  const std::string wrapped = wrapped_records(object);
  if (wrapped.empty()) {
    visit({name, object});
    return;
  }
  throw Error(ErrorCode::bad_dataset,
              fmt::format("one object, whose \"{}\" holds the records", wrapped))
      .at(name)
      .hint(is_plain_name(wrapped)
                ? fmt::format("give the records alone: jq '.{}' FILE > records.json", wrapped)
                : "give a file of the records alone");
}

bool is_json(std::string_view text) {
  try {
    io::parse_json(text, "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Whether a first line is a JSON value by itself, and others follow.
bool looks_like_lines(std::string_view text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return false;
  const bool others = text.find_first_not_of(kBlanks, end) != std::string_view::npos;
  return others && is_json(text.substr(0, end));
}

/// The value that is all of the file; nothing when the file has one a line. In a file that is named
/// for lines only what cannot be one counts: an array of records, an object over several lines.
std::optional<io::Json> whole_value(std::string_view text, const std::string& name, bool lines) {
  if (looks_like_lines(text)) return std::nullopt;
  if (!lines) return parse(text, name);
  const bool array = text.starts_with('[');
  if (!array && !text.starts_with('{')) return std::nullopt;
  if (!array && text.find('\n') == std::string_view::npos) return std::nullopt;
  if (!is_json(text)) return std::nullopt;
  io::Json value = parse(text, name);
  if (array && !holds_records(value)) return std::nullopt;
  return value;
}

/// Both names of JSON files are in use for both forms.
void visit_json(std::string_view text, const std::string& name, bool lines, const Visitor& visit) {
  const std::size_t first = std::min(text.find_first_not_of(kBlanks), text.size());
  const std::size_t end = text.find_last_not_of(kBlanks) + 1;
  const std::string_view trimmed = text.substr(first, end - std::min(first, end));
  const std::optional<io::Json> value = whole_value(trimmed, name, lines);
  if (!value.has_value()) return visit_json_lines(text, name, visit);
  if (value->is_object()) return visit_object(*value, name, visit);
  if (value->is_array()) return visit_array(*value, name, visit);
  throw Error(ErrorCode::bad_dataset,
              fmt::format("expected an array, found {}", value->type_name()))
      .at(name)
      .hint("records are an array, or one JSON value a line");
}

void require_distinct(const std::vector<std::string>& header, const std::string& name) {
  std::vector<std::string> sorted = header;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice == sorted.end()) return;
  throw Error(ErrorCode::bad_dataset, fmt::format("two columns are named \"{}\"", *twice))
      .at(name + ":1");
}

void visit_rows(std::string_view text, const std::string& name, const Visitor& visit) {
  CsvReader reader(text, name);
  const auto header = reader.next();
  if (!header) return;
  require_distinct(*header, name);
  while (const auto row = reader.next()) {
    Record record{fmt::format("{}:{}", name, reader.line()), {}};
    if (row->size() == 1 && row->front().empty() && header->size() > 1) {
      if (!visit(record)) return;
      continue;
    }
    if (row->size() != header->size()) {
      throw Error(ErrorCode::bad_dataset, fmt::format("a row of {} fields under a header of {}",
                                                      row->size(), header->size()))
          .at(record.where);
    }
    record.value = io::Json::object();
    for (std::size_t i = 0; i < row->size(); ++i)
      record.value[(*header)[i]] = to_valid_utf8((*row)[i]);
    if (!visit(record)) return;
  }
}

void visit_text(std::string_view text, const std::string& name, bool whole, const Visitor& visit) {
  if (whole) {
    if (!text.empty()) visit({name, to_valid_utf8(text)});
    return;
  }
  visit_lines(text, [&](std::string_view line, std::int64_t number) {
    Record record{fmt::format("{}:{}", name, number), {}};
    if (!is_blank(line)) record.value = to_valid_utf8(line);
    return visit(record);
  });
}

std::string lower_extension(const std::filesystem::path& file) {
  return to_lower(file.extension().string());
}

}  // namespace

bool is_json_file(const std::filesystem::path& file) {
  const std::string extension = lower_extension(file);
  return extension == ".json" || extension == ".jsonl" || extension == ".ndjson";
}

void visit_records(const std::filesystem::path& file, bool whole, const Visitor& visit) {
  const std::string text = read_plain_text(file);
  const std::string name = file.string();
  const std::string extension = lower_extension(file);
  if (is_json_file(file)) return visit_json(text, name, extension != ".json", visit);
  if (extension == ".csv") return visit_rows(text, name, visit);
  if (extension == ".txt") return visit_text(text, name, whole, visit);
  throw Error(ErrorCode::bad_dataset, fmt::format("extension \"{}\" is not known", extension))
      .at(name)
      .hint("known are .jsonl, .json, .csv and .txt; rename or convert the file");
}

}  // namespace pare::text
