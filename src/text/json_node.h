// A place inside a tokenizer's JSON: typed access whose errors say where the value stands.
#pragma once

#include "io/json.h"
#include "pare/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::text {

/// Borrowed JSON value and its path, such as `tokenizer.json: normalizer.pattern`.
/// Errors: every accessor throws bad_tokenizer when the value is absent or of another type.
class JsonNode {
 public:
  JsonNode(const io::Json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  const io::Json& value() const noexcept { return *value_; }
  const std::string& path() const noexcept { return path_; }

  /// The member, or nothing when it is absent or null.
  std::optional<JsonNode> find(std::string_view key) const;
  JsonNode at(std::string_view key) const;
  /// The elements of an array.
  std::vector<JsonNode> items() const;

  std::string text() const;
  bool flag() const;
  std::int64_t integer() const;

  bool flag_or(std::string_view key, bool if_absent) const;
  std::string text_or(std::string_view key, std::string_view if_absent) const;

  /// The member "type", which every component of a tokenizer.json has.
  std::string type() const { return at("type").text(); }

  /// bad_tokenizer here, saying `detail`.
  Error error(std::string detail) const;
  /// tokenizer_not_supported here, saying `detail`.
  Error unsupported(std::string detail) const;

 private:
  const io::Json* value_;
  std::string path_;
};

}  // namespace pare::text
