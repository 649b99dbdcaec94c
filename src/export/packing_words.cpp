#include "export/packing_words.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pare::export_ {
namespace {

constexpr int kWordBits = 32;
/// Lines, and words of a line, that are turned round in a buffer. Rows of weights are often 4096
/// bytes or a multiple apart and share few places of a cache: both sides take whole cache lines.
constexpr std::int64_t kRunLines = 64;
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

/// Words of `lines` lines from `line` on: of_word(w)[i] is word `word` + w of line `line` + i.
struct Run {
  std::int64_t line = 0;
  std::int64_t lines = 0;
  std::int64_t word = 0;
  std::int64_t count = 0;
  std::array<std::uint32_t, kRunLines * kRunWords> words{};

  std::uint32_t* of_word(std::int64_t w) noexcept { return words.data() + w * kRunLines; }
};

/// Calls fn(run) for all words, in blocks that a buffer holds.
template <typename Fn>
void for_each_run(std::int64_t lines, std::int64_t words, const Fn& fn) noexcept {
  for (std::int64_t line = 0; line < lines; line += kRunLines) {
    for (std::int64_t word = 0; word < words; word += kRunWords) {
      Run run;
      run.line = line;
      run.lines = std::min(kRunLines, lines - line);
      run.word = word;
      run.count = std::min(kRunWords, words - word);
      fn(run);
    }
  }
}

/// Calls fn(first byte in the file, first word of the run, number of words) for words that lie side
/// by side on both sides.
template <typename Fn>
void for_each_piece(Run& run, const WordGrid& grid, const Fn& fn) noexcept {
  const bool together = grid.line_step == 1;
  for (std::int64_t w = 0; w < run.count; ++w) {
    const std::int64_t at = run.line * grid.line_step + (run.word + w) * grid.word_step;
    if (together) {
      fn(at * 4, run.of_word(w), run.lines);
      continue;
    }
    for (std::int64_t i = 0; i < run.lines; ++i)
      fn((at + i * grid.line_step) * 4, run.of_word(w) + i, std::int64_t{1});
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

/// One field of `lines` words, whose codes lie `step` apart: with a step of 1 a loop that becomes
/// vector instructions.
void add_field(const std::int8_t* codes, std::int64_t step, std::int64_t lines, int bits, int shift,
               std::uint32_t* words) noexcept {
  const int offset = 1 << (bits - 1);
  for (std::int64_t i = 0; i < lines; ++i)
    words[i] |= static_cast<std::uint32_t>(codes[i * step] + offset) << shift;
}

void take_field(const std::uint32_t* words, std::int64_t lines, int bits, int shift,
                std::int64_t step, std::int8_t* codes) noexcept {
  const int offset = 1 << (bits - 1);
  const std::uint32_t mask = (std::uint32_t{1} << bits) - 1;
  for (std::int64_t i = 0; i < lines; ++i) {
    const auto field = static_cast<int>((words[i] >> shift) & mask);
    codes[i * step] = static_cast<std::int8_t>(field - offset);
  }
}

/// The codes of a run, in whole words where they lie side by side, field by field elsewhere.
template <typename Code>
class RunCodes {
 public:
  RunCodes(const CodeGrid<Code>& codes, int bits, WordOrder order) noexcept
      : codes_(codes),
        bits_(bits),
        shifts_(shifts_of(bits, order)),
        whole_words_(codes.column_step == 1 && order == WordOrder::natural) {}

  /// Calls whole(word of the run, line of the run, codes) for every word that can be taken whole.
  template <typename Whole>
  std::int64_t for_each_whole(const Run& run, const Whole& whole) const noexcept {
    if (!whole_words_) return 0;
    const std::int64_t full = std::min(run.count, codes_.columns / per_word() - run.word);
    for (std::int64_t i = 0; i < run.lines; ++i) {
      Code* code = codes_.data + (run.line + i) * codes_.row_step + run.word * per_word();
      for (std::int64_t w = 0; w < full; ++w)
        whole(w, i, code + w * per_word());
    }
    return full;
  }

  /// Calls field(word of the run, shift, codes of the first line) for the words from `first` on.
  template <typename Field>
  void for_each_field(const Run& run, std::int64_t first, const Field& field) const noexcept {
    const std::int64_t last = std::min((run.word + run.count) * per_word(), codes_.columns);
    for (std::int64_t c = (run.word + first) * per_word(); c < last; ++c) {
      Code* code = codes_.data + run.line * codes_.row_step + c * codes_.column_step;
      field(c / per_word() - run.word, shifts_[static_cast<std::size_t>(c % per_word())], code);
    }
  }

 private:
  std::int64_t per_word() const noexcept { return kWordBits / bits_; }

  CodeGrid<Code> codes_;
  int bits_;
  Shifts shifts_;
  bool whole_words_;
};

void pack(const CodeGrid<const std::int8_t>& codes, int bits, WordOrder order, const WordGrid& grid,
          std::byte* out) noexcept {
  const RunCodes<const std::int8_t> source(codes, bits, order);
  for_each_run(codes.rows, words_for(codes.columns, bits), [&](Run& run) {
    const std::int64_t done =
        source.for_each_whole(run, [&](std::int64_t w, std::int64_t i, const std::int8_t* code) {
          run.of_word(w)[i] = join_bytes(code, bits);
        });
    source.for_each_field(run, done, [&](std::int64_t w, int shift, const std::int8_t* code) {
      add_field(code, codes.row_step, run.lines, bits, shift, run.of_word(w));
    });
    for_each_piece(run, grid, [&](std::int64_t at, const std::uint32_t* words, std::int64_t count) {
      std::memcpy(out + at, words, static_cast<std::size_t>(count) * 4);
    });
  });
}

void unpack(const std::byte* in, int bits, WordOrder order, const WordGrid& grid,
            const CodeGrid<std::int8_t>& codes) noexcept {
  const RunCodes<std::int8_t> target(codes, bits, order);
  for_each_run(codes.rows, words_for(codes.columns, bits), [&](Run& run) {
    for_each_piece(run, grid, [&](std::int64_t at, std::uint32_t* words, std::int64_t count) {
      std::memcpy(words, in + at, static_cast<std::size_t>(count) * 4);
    });
    const std::int64_t done =
        target.for_each_whole(run, [&](std::int64_t w, std::int64_t i, std::int8_t* code) {
          split_bytes(run.of_word(w)[i], bits, code);
        });
    target.for_each_field(run, done, [&](std::int64_t w, int shift, std::int8_t* code) {
      take_field(run.of_word(w), run.lines, bits, shift, codes.row_step, code);
    });
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
