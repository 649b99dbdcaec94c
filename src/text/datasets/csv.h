// Comma-separated values as RFC 4180 has them, read record by record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::text {

/// Reads records from text that it borrows. Fields may be quoted; quoted fields may hold commas,
/// line ends and doubled quotes. Records end at LF, CRLF or CR.
class CsvReader {
 public:
  /// `name` is for messages.
  CsvReader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  /// The fields of the next record; nothing at the end. A blank line is a record of one empty
  /// field. Errors: bad_dataset for a quote that is not closed, or text behind a closing quote.
  std::optional<std::vector<std::string>> next();

  /// The line, from 1, on which the record that next() gave last begins.
  std::int64_t line() const noexcept { return record_line_; }

 private:
  std::string field();
  std::string quoted_field();
  bool at_line_end() const noexcept;
  void skip_line_end();

  std::string_view text_;
  std::string name_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::int64_t record_line_ = 0;
};

}  // namespace pare::text
