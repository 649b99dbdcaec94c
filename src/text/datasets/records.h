// The records of a text file: lines, JSON values or rows, each with the place it came from.
#pragma once

#include "io/json.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace pare::text {

struct Record {
  std::string where;         // "calib.jsonl:12", "calib.json: element 3"
  io::Json value;            // an object of fields, or a string; null for a blank line
  std::string problem = {};  // why a line of .jsonl could not be read; "" when it could
  bool element = false;      // of an array that is the whole file
};

/// Calls `visit` for every record in order until it returns false. The extension tells the form:
/// .jsonl and .json one JSON value a line, one array or one object, as the file has it; .csv rows
/// named by a header; .txt lines, or with `whole` the file as one text.
/// Errors: file_not_found, file_io, bad_dataset with the line, or with what the file seems to be.
void visit_records(const std::filesystem::path& file, bool whole,
                   const std::function<bool(const Record&)>& visit);

/// Whether records of the file are JSON values, by its extension.
bool is_json_file(const std::filesystem::path& file);

}  // namespace pare::text
