#include "containers/in_quotes.h"

#include <fmt/format.h>

#include <cstddef>

namespace pare::containers {
namespace {

constexpr std::size_t kMaxShownBytes = 120;

unsigned byte_at(std::string_view text, std::size_t i) noexcept {
  return static_cast<unsigned char>(text[i]);
}

/// Bytes of the character that begins with `lead`; 0 when none may.
std::size_t character_size(unsigned lead) noexcept {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/// Overlong forms, surrogates and values beyond U+10FFFF show in the second byte.
bool second_byte_fits(unsigned lead, unsigned second) noexcept {
  if (lead == 0xE0) return second >= 0xA0;
  if (lead == 0xED) return second <= 0x9F;
  if (lead == 0xF0) return second >= 0x90;
  return lead != 0xF4 || second <= 0x8F;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte_at(text, i);
    const std::size_t size = character_size(lead);
    if (size == 0 || size > text.size() - i) return false;
    for (std::size_t k = 1; k < size; ++k) {
      if ((byte_at(text, i + k) & 0xC0U) != 0x80U) return false;
    }
    if (size > 1 && !second_byte_fits(lead, byte_at(text, i + 1))) return false;
    i += size;
  }
  return true;
}

std::string in_quotes(std::string_view text) {
  const bool utf8 = is_utf8(text);
  std::string shown = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned byte = byte_at(text, i);
    const bool begins_character = !utf8 || (byte & 0xC0U) != 0x80U;
    if (begins_character && shown.size() > kMaxShownBytes) return shown + "…\"";
    const bool plain = byte >= 0x20 && byte != 0x7F && (utf8 || byte < 0x80);
    if (plain) {
      shown += text[i];
    } else {
      shown += fmt::format("\\x{:02X}", byte);
    }
  }
  return shown + "\"";
}

}  // namespace pare::containers
