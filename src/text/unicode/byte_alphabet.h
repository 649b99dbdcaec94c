// The byte-level alphabet of GPT-2: every byte as one printable character.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pare::text {

/// Bytes 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF stand for themselves; the other 68, in increasing
/// order, for U+0100, U+0101, … (space is U+0120, newline U+010A).
/// Source: Radford et al. 2019, the GPT-2 encoder.
char32_t letter_of_byte(unsigned char byte) noexcept;

/// The byte a letter stands for, or nothing when it is not in the alphabet.
std::optional<unsigned char> byte_of_letter(char32_t letter) noexcept;

/// Every byte of `text` as its letter.
std::string to_byte_letters(std::string_view text);

}  // namespace pare::text
