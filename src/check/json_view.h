// Values out of JSON that may hold anything: an expected "no" is no value, never an exception.
#pragma once

#include "io/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::check {

/// The member, or nullptr when it is absent, null, or `json` is no object.
const io::Json* member(const io::Json& json, std::string_view key);
/// The first of the keys that is there: formats renamed some.
const io::Json* member(const io::Json& json, std::string_view key, std::string_view other);

std::optional<std::string> text_of(const io::Json* value);
std::optional<std::int64_t> integer_of(const io::Json* value);
std::optional<bool> flag_of(const io::Json* value);
/// The texts of a list; what is no text is left out.
std::vector<std::string> texts_of(const io::Json* value);

/// The value as it would stand in a file, cut to a length that fits a line; "absent" for nullptr.
std::string shown(const io::Json* value);

/// ASCII letters in lower case: names of methods and formats are written either way.
std::string lower_case(std::string text);

}  // namespace pare::check
