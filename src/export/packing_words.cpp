#include "export/packing_words.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pare::export_ {
namespace {

constexpr int kWordBits = 32;
/// Words and lines walked through at a time, so that transposing stays inside the caches.
constexpr std::int64_t kTile = 64;

/// Lowest bit of the field that holds code j of a word.
using Shifts = std::array<int, 8>;

Shifts shifts_of(int bits, WordOrder order) noexcept {
  if (order == WordOrder::awq) return {0, 16, 4, 20, 8, 24, 12, 28};
  Shifts shifts{};
  for (int j = 0; j < kWordBits / bits; ++j)
    shifts[static_cast<std::size_t>(j)] = j * bits;
  return shifts;
}

/// Where the word of a run of codes lies: one run per line, `words` runs on each line.
struct WordGrid {
  std::int64_t line_step = 0;
  std::int64_t word_step = 0;
};

/// Calls fn(line, word) for all words, tile by tile.
template <typename Fn>
void for_each_word(std::int64_t lines, std::int64_t words, const Fn& fn) noexcept {
  for (std::int64_t first_line = 0; first_line < lines; first_line += kTile) {
    const std::int64_t last_line = std::min(lines, first_line + kTile);
    for (std::int64_t word = 0; word < words; ++word) {
      for (std::int64_t line = first_line; line < last_line; ++line)
        fn(line, word);
    }
  }
}

void pack(const CodeGrid<const std::int8_t>& codes, int bits, WordOrder order, const WordGrid& grid,
          std::byte* out) noexcept {
  const Shifts shifts = shifts_of(bits, order);
  const std::int64_t per_word = kWordBits / bits;
  const int offset = 1 << (bits - 1);
  for_each_word(codes.rows, words_for(codes.columns, bits), [&](std::int64_t r, std::int64_t w) {
    const std::int64_t first = w * per_word;
    const std::int64_t count = std::min(per_word, codes.columns - first);
    const std::int8_t* code = codes.data + r * codes.row_step + first * codes.column_step;
    std::uint32_t word = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      const int value = code[j * codes.column_step] + offset;
      word |= static_cast<std::uint32_t>(value) << shifts[static_cast<std::size_t>(j)];
    }
    std::memcpy(out + (r * grid.line_step + w * grid.word_step) * 4, &word, 4);
  });
}

void unpack(const std::byte* words, int bits, WordOrder order, const WordGrid& grid,
            const CodeGrid<std::int8_t>& codes) noexcept {
  const Shifts shifts = shifts_of(bits, order);
  const std::int64_t per_word = kWordBits / bits;
  const int offset = 1 << (bits - 1);
  const std::uint32_t mask = (std::uint32_t{1} << bits) - 1;
  for_each_word(codes.rows, words_for(codes.columns, bits), [&](std::int64_t r, std::int64_t w) {
    std::uint32_t word = 0;
    std::memcpy(&word, words + (r * grid.line_step + w * grid.word_step) * 4, 4);
    const std::int64_t first = w * per_word;
    const std::int64_t count = std::min(per_word, codes.columns - first);
    std::int8_t* code = codes.data + r * codes.row_step + first * codes.column_step;
    for (std::int64_t j = 0; j < count; ++j) {
      const auto field = static_cast<int>((word >> shifts[static_cast<std::size_t>(j)]) & mask);
      code[j * codes.column_step] = static_cast<std::int8_t>(field - offset);
    }
  });
}

}  // namespace

std::int64_t words_for(std::int64_t count, int bits) noexcept {
  const std::int64_t per_word = kWordBits / bits;
  return count / per_word + (count % per_word != 0 ? 1 : 0);
}

Tensor pack_along_rows(const CodeGrid<const std::int8_t>& codes, int bits, WordOrder order) {
  const std::int64_t words = words_for(codes.columns, bits);
  Tensor packed(DType::i32, {codes.rows, words});
  pack(codes, bits, order, {words, 1}, packed.bytes().data());
  return packed;
}

Tensor pack_down_columns(const CodeGrid<const std::int8_t>& codes, int bits) {
  Tensor packed(DType::i32, {words_for(codes.rows, bits), codes.columns});
  pack(codes.transposed(), bits, WordOrder::natural, {1, codes.columns}, packed.bytes().data());
  return packed;
}

void unpack_along_rows(std::span<const std::byte> words, int bits, WordOrder order,
                       const CodeGrid<std::int8_t>& codes) noexcept {
  unpack(words.data(), bits, order, {words_for(codes.columns, bits), 1}, codes);
}

void unpack_down_columns(std::span<const std::byte> words, int bits,
                         const CodeGrid<std::int8_t>& codes) noexcept {
  unpack(words.data(), bits, WordOrder::natural, {1, codes.columns}, codes.transposed());
}

}  // namespace pare::export_
