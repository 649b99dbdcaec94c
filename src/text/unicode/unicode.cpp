#include "text/unicode/unicode.h"

#include "text/unicode/unicode_additions.h"

#include <unicode/uchar.h>

#include <algorithm>

namespace pare::text {

namespace {

// What a lead byte promises: the sequence length and the range of the second byte (Unicode 15,
// table 3-7). The range of the second byte is what keeps surrogates and overlong forms out.
struct Lead {
  std::size_t bytes = 0;
  unsigned char second_min = 0x80;
  unsigned char second_max = 0xBF;
};

Lead lead_of(unsigned char byte) noexcept {
  if (byte >= 0xC2 && byte <= 0xDF) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

UChar32 icu(char32_t c) noexcept { return static_cast<UChar32>(c); }

// ICU 72 knows Unicode 15.0.
bool is_new_word_character(char32_t c) noexcept {
  const auto added = characters_since_unicode_14();
  return std::any_of(added.begin(), added.end(), [&](const AddedCharacters& range) {
    if (c < range.first || c > range.last) return false;
    const char category = range.category.front();
    return category == 'L' || category == 'M' || range.category == "Nd" || range.category == "Nl" ||
           range.category == "Pc";
  });
}

}  // namespace

CodePoint code_point_at(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {first, 1, true};
  const Lead lead = lead_of(first);
  if (lead.bytes == 0) return {kReplacementCharacter, 1, false};
  char32_t value = first & (0x7FU >> lead.bytes);
  for (std::size_t k = 1; k < lead.bytes; ++k) {
    if (at + k >= text.size()) return {kReplacementCharacter, k, false};
    const unsigned char next = byte(at + k);
    const unsigned char low = k == 1 ? lead.second_min : 0x80;
    const unsigned char high = k == 1 ? lead.second_max : 0xBF;
    if (next < low || next > high) return {kReplacementCharacter, k, false};
    value = (value << 6) | (next & 0x3FU);
  }
  return {value, lead.bytes, true};
}

char32_t last_code_point(std::string_view text) noexcept {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U)
    --at;
  return code_point_at(text, at).value;
}

void append_utf8(std::string& out, char32_t value) {
  const auto put = [&](char32_t bits) {
    out += static_cast<char>(static_cast<unsigned char>(bits));
  };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | (value >> 6));
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | (value >> 12));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | (value >> 18));
    put(0x80 | ((value >> 12) & 0x3F));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

bool is_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (c.valid) {
      out.append(text.substr(at, c.bytes));
    } else {
      append_utf8(out, kReplacementCharacter);
    }
    at += c.bytes;
  }
  return out;
}

bool is_white_space(char32_t c) noexcept { return u_isUWhiteSpace(icu(c)) != 0; }

bool is_numeric(char32_t c) noexcept { return (U_GET_GC_MASK(icu(c)) & U_GC_N_MASK) != 0; }

bool is_word_character(char32_t c) noexcept {
  if (c < 0x80) return u_isalnum(icu(c)) != 0 || c == U'_';
  constexpr std::uint32_t kCategories = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (U_GET_GC_MASK(icu(c)) & kCategories) != 0 || u_isUAlphabetic(icu(c)) != 0 ||
         u_hasBinaryProperty(icu(c), UCHAR_JOIN_CONTROL) != 0 || is_new_word_character(c);
}

std::string to_lower(std::string_view valid_text) {
  std::string out;
  out.reserve(valid_text.size());
  for (std::size_t at = 0; at < valid_text.size();) {
    const CodePoint c = code_point_at(valid_text, at);
    at += c.bytes;
    append_utf8(out, static_cast<char32_t>(u_tolower(icu(c.value))));
    // The only character whose lower case is two: capital I with a dot above.
    if (c.value == 0x0130) append_utf8(out, 0x0307);
  }
  return out;
}

}  // namespace pare::text
