#include "export/packing_words.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pare::export_ {
namespace {

constexpr int kWordBits = 32;
/// Lines walked through at a time. Rows of weights are often 4096 bytes or a multiple apart, and
/// then lie in the same few places of a cache: eight of them stay there together.
constexpr std::int64_t kTile = 8;
/// Codes side by side, and words of a line, that are turned round in a buffer: a cache line each.
constexpr std::int64_t kRunCodes = 64;
constexpr std::int64_t kRunWords = 16;

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
  for (std::int64_t first = 0; first < lines; first += kTile) {
    const std::int64_t last = std::min(lines, first + kTile);
    for (std::int64_t word = 0; word < words; ++word) {
      for (std::int64_t line = first; line < last; ++line)
        fn(line, word);
    }
  }
}

std::uint32_t gather(const std::int8_t* code, std::int64_t step, std::int64_t count, int offset,
                     const Shifts& shifts) noexcept {
  std::uint32_t word = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    const int value = code[j * step] + offset;
    word |= static_cast<std::uint32_t>(value) << shifts[static_cast<std::size_t>(j)];
  }
  return word;
}

void scatter(std::uint32_t word, std::int8_t* code, std::int64_t step, std::int64_t count,
             int bits, const Shifts& shifts) noexcept {
  const int offset = 1 << (bits - 1);
  const std::uint32_t mask = (std::uint32_t{1} << bits) - 1;
  for (std::int64_t j = 0; j < count; ++j) {
    const auto field = static_cast<int>((word >> shifts[static_cast<std::size_t>(j)]) & mask);
    code[j * step] = static_cast<std::int8_t>(field - offset);
  }
}

/// A whole word of codes that lie side by side, in the natural order, all bytes at once. The lowest
/// bits of a code with its sign flipped are code + 2^(bits - 1).
std::uint32_t join_bytes(const std::int8_t* codes, int bits) noexcept {
  if (bits == 8) {
    std::uint32_t word = 0;
    std::memcpy(&word, codes, 4);
    return word ^ 0x80808080U;
  }
  std::uint64_t x = 0;
  std::memcpy(&x, codes, 8);
  x = (x ^ 0x0808080808080808U) & 0x0F0F0F0F0F0F0F0FU;
  x = (x | x >> 4) & 0x00FF00FF00FF00FFU;
  x = (x | x >> 8) & 0x0000FFFF0000FFFFU;
  return static_cast<std::uint32_t>(x | x >> 16);
}

void split_bytes(std::uint32_t word, int bits, std::int8_t* codes) noexcept {
  if (bits == 8) {
    word ^= 0x80808080U;
    std::memcpy(codes, &word, 4);
    return;
  }
  std::uint64_t x = word;
  x = (x | x << 16) & 0x0000FFFF0000FFFFU;
  x = (x | x << 8) & 0x00FF00FF00FF00FFU;
  x = (x | x << 4) & 0x0F0F0F0F0F0F0F0FU;
  x = ((x | 0x8080808080808080U) - 0x0808080808080808U) ^ 0x8080808080808080U;  // less 8 per byte
  std::memcpy(codes, &x, 8);
}

/// Words whose codes lie side by side.
void pack_rows(const CodeGrid<const std::int8_t>& codes, int bits, const WordGrid& grid,
               std::byte* out) noexcept {
  const Shifts shifts = shifts_of(bits, WordOrder::natural);
  const std::int64_t per_word = kWordBits / bits;
  for_each_word(codes.rows, words_for(codes.columns, bits), [&](std::int64_t r, std::int64_t w) {
    const std::int64_t count = std::min(per_word, codes.columns - w * per_word);
    const std::int8_t* code = codes.data + r * codes.row_step + w * per_word;
    const std::uint32_t word = count == per_word
                                   ? join_bytes(code, bits)
                                   : gather(code, 1, count, 1 << (bits - 1), shifts);
    std::memcpy(out + (r * grid.line_step + w * grid.word_step) * 4, &word, 4);
  });
}

void unpack_rows(const std::byte* words, int bits, const WordGrid& grid,
                 const CodeGrid<std::int8_t>& codes) noexcept {
  const Shifts shifts = shifts_of(bits, WordOrder::natural);
  const std::int64_t per_word = kWordBits / bits;
  for_each_word(codes.rows, words_for(codes.columns, bits), [&](std::int64_t r, std::int64_t w) {
    std::uint32_t word = 0;
    std::memcpy(&word, words + (r * grid.line_step + w * grid.word_step) * 4, 4);
    const std::int64_t count = std::min(per_word, codes.columns - w * per_word);
    std::int8_t* code = codes.data + r * codes.row_step + w * per_word;
    if (count == per_word) return split_bytes(word, bits, code);
    scatter(word, code, 1, count, bits, shifts);
  });
}

/// Words of `lines` lines from `line` on, word by word: words[w * kRunCodes + i] is word w of line i.
struct Run {
  std::int64_t line = 0;
  std::int64_t lines = 0;
  std::int64_t word = 0;
  std::int64_t count = 0;
  std::array<std::uint32_t, kRunCodes * kRunWords> words{};

  std::uint32_t* of_word(std::int64_t w) noexcept { return words.data() + w * kRunCodes; }
};

/// Calls fn(run) for all words, in blocks that a buffer holds.
template <typename Fn>
void for_each_run(std::int64_t lines, std::int64_t words, const Fn& fn) noexcept {
  for (std::int64_t line = 0; line < lines; line += kRunCodes) {
    for (std::int64_t word = 0; word < words; word += kRunWords) {
      Run run;
      run.line = line;
      run.lines = std::min(kRunCodes, lines - line);
      run.word = word;
      run.count = std::min(kRunWords, words - word);
      fn(run);
    }
  }
}

/// Codes of one field of `lines` words, side by side: a loop that becomes vector instructions.
void add_field(const std::int8_t* codes, std::int64_t lines, int offset, int shift,
               std::uint32_t* words) noexcept {
  for (std::int64_t i = 0; i < lines; ++i)
    words[i] |= static_cast<std::uint32_t>(codes[i] + offset) << shift;
}

void take_field(const std::uint32_t* words, std::int64_t lines, int bits, int shift,
                std::int8_t* codes) noexcept {
  const int offset = 1 << (bits - 1);
  const std::uint32_t mask = (std::uint32_t{1} << bits) - 1;
  for (std::int64_t i = 0; i < lines; ++i)
    codes[i] = static_cast<std::int8_t>(static_cast<int>((words[i] >> shift) & mask) - offset);
}

/// Words whose codes lie far apart, but beside those of the next line.
void pack_lines(const CodeGrid<const std::int8_t>& codes, int bits, WordOrder order,
                const WordGrid& grid, std::byte* out) noexcept {
  const Shifts shifts = shifts_of(bits, order);
  const std::int64_t per_word = kWordBits / bits;
  for_each_run(codes.rows, words_for(codes.columns, bits), [&](Run& run) {
    const std::int64_t first = run.word * per_word;
    const std::int64_t columns = std::min(run.count * per_word, codes.columns - first);
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int8_t* code = codes.data + run.line + (first + j) * codes.column_step;
      const int shift = shifts[static_cast<std::size_t>(j % per_word)];
      add_field(code, run.lines, 1 << (bits - 1), shift, run.of_word(j / per_word));
    }
    for (std::int64_t i = 0; i < run.lines; ++i) {
      for (std::int64_t w = 0; w < run.count; ++w) {
        const std::int64_t at = (run.line + i) * grid.line_step + (run.word + w) * grid.word_step;
        std::memcpy(out + at * 4, run.of_word(w) + i, 4);
      }
    }
  });
}

void unpack_lines(const std::byte* words, int bits, WordOrder order, const WordGrid& grid,
                  const CodeGrid<std::int8_t>& codes) noexcept {
  const Shifts shifts = shifts_of(bits, order);
  const std::int64_t per_word = kWordBits / bits;
  for_each_run(codes.rows, words_for(codes.columns, bits), [&](Run& run) {
    for (std::int64_t i = 0; i < run.lines; ++i) {
      for (std::int64_t w = 0; w < run.count; ++w) {
        const std::int64_t at = (run.line + i) * grid.line_step + (run.word + w) * grid.word_step;
        std::memcpy(run.of_word(w) + i, words + at * 4, 4);
      }
    }
    const std::int64_t first = run.word * per_word;
    const std::int64_t columns = std::min(run.count * per_word, codes.columns - first);
    for (std::int64_t j = 0; j < columns; ++j) {
      std::int8_t* code = codes.data + run.line + (first + j) * codes.column_step;
      const int shift = shifts[static_cast<std::size_t>(j % per_word)];
      take_field(run.of_word(j / per_word), run.lines, bits, shift, code);
    }
  });
}

void pack(const CodeGrid<const std::int8_t>& codes, int bits, WordOrder order, const WordGrid& grid,
          std::byte* out) noexcept {
  if (codes.row_step == 1) return pack_lines(codes, bits, order, grid, out);
  if (codes.column_step == 1 && order == WordOrder::natural) {
    return pack_rows(codes, bits, grid, out);
  }
  const Shifts shifts = shifts_of(bits, order);
  const std::int64_t per_word = kWordBits / bits;
  for_each_word(codes.rows, words_for(codes.columns, bits), [&](std::int64_t r, std::int64_t w) {
    const std::int64_t first = w * per_word;
    const std::int64_t count = std::min(per_word, codes.columns - first);
    const std::int8_t* code = codes.data + r * codes.row_step + first * codes.column_step;
    const std::uint32_t word =
        gather(code, codes.column_step, count, 1 << (bits - 1), shifts);
    std::memcpy(out + (r * grid.line_step + w * grid.word_step) * 4, &word, 4);
  });
}

void unpack(const std::byte* words, int bits, WordOrder order, const WordGrid& grid,
            const CodeGrid<std::int8_t>& codes) noexcept {
  if (codes.row_step == 1) return unpack_lines(words, bits, order, grid, codes);
  if (codes.column_step == 1 && order == WordOrder::natural) {
    return unpack_rows(words, bits, grid, codes);
  }
  const Shifts shifts = shifts_of(bits, order);
  const std::int64_t per_word = kWordBits / bits;
  for_each_word(codes.rows, words_for(codes.columns, bits), [&](std::int64_t r, std::int64_t w) {
    std::uint32_t word = 0;
    std::memcpy(&word, words + (r * grid.line_step + w * grid.word_step) * 4, 4);
    const std::int64_t first = w * per_word;
    const std::int64_t count = std::min(per_word, codes.columns - first);
    std::int8_t* code = codes.data + r * codes.row_step + first * codes.column_step;
    scatter(word, code, codes.column_step, count, bits, shifts);
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
