#include "text/unicode/byte_alphabet.h"

#include "text/unicode/unicode.h"

#include <array>

namespace pare::text {

namespace {

constexpr char32_t kFirstShifted = 0x100;
constexpr std::size_t kShiftedBytes = 68;

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> letter{};
  std::array<unsigned char, kShiftedBytes> shifted{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  std::size_t next = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      alphabet.letter[byte] = byte;
      continue;
    }
    alphabet.letter[byte] = kFirstShifted + static_cast<char32_t>(next);
    alphabet.shifted[next++] = static_cast<unsigned char>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t letter_of_byte(unsigned char byte) noexcept { return kAlphabet.letter[byte]; }

std::optional<unsigned char> byte_of_letter(char32_t letter) noexcept {
  if (letter < 0x100 && stands_for_itself(letter)) return static_cast<unsigned char>(letter);
  if (letter < kFirstShifted || letter >= kFirstShifted + kShiftedBytes) return std::nullopt;
  return kAlphabet.shifted[letter - kFirstShifted];
}

std::string to_byte_letters(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text)
    append_utf8(out, letter_of_byte(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace pare::text
