#include "text/datasets/records.h"

#include "io/file.h"
#include "pare/error.h"
#include "text/datasets/csv.h"
#include "text/unicode/unicode.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace pare::text {

namespace {

using Visitor = std::function<bool(const Record&)>;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

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

void visit_json_array(std::string_view text, const std::string& name, const Visitor& visit) {
  const io::Json array = parse(text, name);
  if (!array.is_array()) {
    throw Error(ErrorCode::bad_dataset,
                fmt::format("expected an array, found {}", array.type_name()))
        .at(name)
        .hint("a file of one JSON value a line is named .jsonl");
  }
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (!visit({fmt::format("{}: element {}", name, i), array[i]})) return;
  }
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

void visit_records(const std::filesystem::path& file, bool whole, const Visitor& visit) {
  const std::string content = io::read_text(file);
  std::string_view text = content;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::string name = file.string();
  const std::string extension = lower_extension(file);
  if (extension == ".jsonl") return visit_json_lines(text, name, visit);
  if (extension == ".json") return visit_json_array(text, name, visit);
  if (extension == ".csv") return visit_rows(text, name, visit);
  if (extension == ".txt") return visit_text(text, name, whole, visit);
  throw Error(ErrorCode::bad_dataset, fmt::format("extension \"{}\" is not known", extension))
      .at(name)
      .hint("known are .jsonl, .json, .csv and .txt; rename or convert the file");
}

}  // namespace pare::text
