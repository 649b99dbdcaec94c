// UTF-8 and the few Unicode properties that tokenizers ask about.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pare::text {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

/// One code point read from text; `bytes` is how far to go on. Malformed input gives U+FFFD, not
/// `valid`, and the length of the longest prefix that could have begun a character (at least 1).
struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;
  bool valid = true;
};

/// The code point at byte `at`, which must be below text.size().
CodePoint code_point_at(std::string_view text, std::size_t at) noexcept;

/// The last code point of valid, non-empty text.
char32_t last_code_point(std::string_view text) noexcept;

void append_utf8(std::string& out, char32_t value);

bool is_ascii(std::string_view text) noexcept;

/// Every malformed sequence replaced by U+FFFD, one for each maximal subpart
/// (Unicode 15, section 3.9, "U+FFFD Substitution of Maximal Subparts").
std::string to_valid_utf8(std::string_view text);

/// Property White_Space.
bool is_white_space(char32_t c) noexcept;
/// General categories Nd, Nl and No.
bool is_numeric(char32_t c) noexcept;
/// Word characters of UTS #18, annex C: Alphabetic, M, Nd, Pc and Join_Control.
bool is_word_character(char32_t c) noexcept;

/// Lower case of every character by itself, without regard to its neighbours.
std::string to_lower(std::string_view valid_text);

}  // namespace pare::text
