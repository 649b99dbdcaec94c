// What bytes that were given as text seem to be instead, for messages; and other forms of Unicode.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pare::text {

/// UTF-16 or UTF-32.
struct Utf {
  std::size_t unit = 2;  // bytes
  bool big_endian = false;
};

/// "UTF-16, little endian".
std::string name_of(const Utf& utf);

/// The text as UTF-8; nothing when the bytes are no such text.
std::optional<std::string> decode(std::string_view bytes, const Utf& utf);

/// What it is, in a sentence, and how to make text of it.
struct ForeignBytes {
  std::string what;
  std::string hint;
};

/// By the first bytes that a kind of file always has; nothing when they are none of those known.
std::optional<ForeignBytes> known_file(std::string_view bytes);

/// A guess for bytes that are not UTF-8 from `bad` on (or hold a NUL there).
ForeignBytes foreign_bytes(std::string_view bytes, std::size_t bad);

/// Whether the bytes, which are no character, could begin one.
bool is_cut_off(std::string_view bytes) noexcept;

}  // namespace pare::text
