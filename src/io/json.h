// JSON from untrusted text: duplicate keys, deep nesting and oversized documents are refused.
#pragma once

#include "io/nlohmann.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace pare::io {

/// Objects keep the order of their keys.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t max_bytes = std::size_t{256} << 20;
  int max_depth = 64;
};

/// Parses one JSON document. NaN, Infinity and -Infinity are read as Python reads them.
/// Errors: bad_json with line and column; duplicate keys in one object are an error as well.
Json parse_json(std::string_view text, const std::string& where, const JsonLimits& limits = {});

/// Reads and parses a JSON file. Errors: file_not_found, file_io, bad_json.
Json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

/// For a document that is changed and written again by `json_text`: numbers that are not whole, and
/// whole ones beyond 64 bits, keep their text. They are binary values, which nothing else takes.
Json read_json_as_spelled(const std::filesystem::path& path, const JsonLimits& limits = {});

/// The document indented by two, without a line end, and numbers as they were spelled; infinities
/// and NaN as Python writes them.
std::string json_text(const Json& json);

}  // namespace pare::io
