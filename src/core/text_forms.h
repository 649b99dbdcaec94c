// Small forms of text that users write and read: patterns of names, and sizes in bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pare {

/// Whether a name matches a pattern with `*` (any run of characters) and `?` (any one).
bool matches_pattern(std::string_view pattern, std::string_view name) noexcept;

/// Bytes of "8GiB", "512 MiB", "2G", "1000000". Errors: bad_option_value.
std::size_t parse_bytes(const std::string& text);

/// "1.4 GiB", "13.3 MiB".
std::string human_bytes(std::size_t bytes);

}  // namespace pare
