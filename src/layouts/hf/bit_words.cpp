#include "layouts/hf/bit_words.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace pare::layout {
namespace {

constexpr int kWordBits = 32;
/// Lines, and words of a line, that are turned round in a buffer. Rows of weights are often 4096
/// bytes or a multiple apart and share few places of a cache: both sides take whole cache lines, and
/// where lines lie side by side enough of them that the processor reads ahead.
constexpr std::int64_t kRunLines = 512;
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

/// Where words lie in the file: those of a line side by side, or word k of all lines side by side.
struct StridedWords {
  bool by_lines = true;
  std::int64_t step = 0;  // words from one line, or from one k, to the next
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

void store(Run& run, const StridedWords& grid, std::byte* out) noexcept {
  if (!grid.by_lines) {
    for (std::int64_t w = 0; w < run.count; ++w) {
      std::memcpy(out + ((run.word + w) * grid.step + run.line) * 4, run.of_word(w),
                  static_cast<std::size_t>(run.lines) * 4);
    }
    return;
  }
  std::array<std::uint32_t, kRunWords> line;
  for (std::int64_t i = 0; i < run.lines; ++i) {
    for (std::int64_t w = 0; w < run.count; ++w)
      line[static_cast<std::size_t>(w)] = run.of_word(w)[i];
    std::memcpy(out + ((run.line + i) * grid.step + run.word) * 4, line.data(),
                static_cast<std::size_t>(run.count) * 4);
  }
}

void load(const std::byte* in, const StridedWords& grid, Run& run) noexcept {
  if (!grid.by_lines) {
    for (std::int64_t w = 0; w < run.count; ++w) {
      std::memcpy(run.of_word(w), in + ((run.word + w) * grid.step + run.line) * 4,
                  static_cast<std::size_t>(run.lines) * 4);
    }
    return;
  }
  std::array<std::uint32_t, kRunWords> line;
  for (std::int64_t i = 0; i < run.lines; ++i) {
    std::memcpy(line.data(), in + ((run.line + i) * grid.step + run.word) * 4,
                static_cast<std::size_t>(run.count) * 4);
    for (std::int64_t w = 0; w < run.count; ++w)
      run.of_word(w)[i] = line[static_cast<std::size_t>(w)];
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

/// Whole words of eight columns of 4-bit codes whose lines lie side by side: byte by byte, in loops
/// that become vector instructions. `pairs` are the columns of the low and high nibble of each byte.
using NibblePairs = std::array<std::pair<int, int>, 4>;

NibblePairs nibble_pairs(const Shifts& shifts) noexcept {
  NibblePairs pairs{};
  for (int column = 0; column < 8; ++column) {
    const int nibble = shifts[static_cast<std::size_t>(column)] / 4;
    std::pair<int, int>& pair = pairs[static_cast<std::size_t>(nibble / 2)];
    (nibble % 2 == 0 ? pair.first : pair.second) = column;
  }
  return pairs;
}

void join_columns(const std::int8_t* codes, std::int64_t column_step, std::int64_t lines,
                  const NibblePairs& pairs, std::uint32_t* words) noexcept {
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    const std::int8_t* low = codes + pairs[byte].first * column_step;
    const std::int8_t* high = codes + pairs[byte].second * column_step;
    std::array<std::uint8_t, kRunLines> joined;
    for (std::int64_t i = 0; i < lines; ++i) {
      joined[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(
          ((low[i] ^ 8) & 15) | static_cast<std::uint8_t>((high[i] ^ 8) << 4));
    }
    for (std::int64_t i = 0; i < lines; ++i)
      words[i] |= static_cast<std::uint32_t>(joined[static_cast<std::size_t>(i)]) << (8 * byte);
  }
}

void split_columns(const std::uint32_t* words, std::int64_t lines, const NibblePairs& pairs,
                   std::int64_t column_step, std::int8_t* codes) noexcept {
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    std::int8_t* low = codes + pairs[byte].first * column_step;
    std::int8_t* high = codes + pairs[byte].second * column_step;
    std::array<std::uint8_t, kRunLines> joined;
    for (std::int64_t i = 0; i < lines; ++i)
      joined[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(words[i] >> (8 * byte));
    for (std::int64_t i = 0; i < lines; ++i) {
      const std::uint8_t both = joined[static_cast<std::size_t>(i)];
      low[i] = static_cast<std::int8_t>((both & 15) - 8);
      high[i] = static_cast<std::int8_t>((both >> 4) - 8);
    }
  }
}

/// The codes of a run, in whole words where they lie side by side, field by field elsewhere.
template <typename Code>
class RunCodes {
 public:
  RunCodes(const StridedCodes<Code>& codes, int bits, WordOrder order) noexcept
      : codes_(codes),
        bits_(bits),
        shifts_(shifts_of(bits, order)),
        pairs_(nibble_pairs(bits == 4 ? shifts_ : Shifts{})),
        whole_words_(codes.column_step == 1 && order == WordOrder::natural),
        whole_columns_(!whole_words_ && codes.row_step == 1 && bits == 4) {}

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

  /// Calls whole(word of the run, codes of the first line and column, step between columns, pairs)
  /// for every word whose columns are all there and whose lines lie side by side.
  template <typename Whole>
  std::int64_t for_each_column_word(const Run& run, const Whole& whole) const noexcept {
    if (!whole_columns_) return 0;
    const std::int64_t full = std::min(run.count, codes_.columns / per_word() - run.word);
    for (std::int64_t w = 0; w < full; ++w) {
      Code* code = codes_.data + run.line + (run.word + w) * per_word() * codes_.column_step;
      whole(w, code, codes_.column_step, pairs_);
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

  StridedCodes<Code> codes_;
  int bits_;
  Shifts shifts_;
  NibblePairs pairs_;
  bool whole_words_;
  bool whole_columns_;
};

void pack(const StridedCodes<const std::int8_t>& codes, int bits, WordOrder order, const StridedWords& grid,
          std::byte* out) noexcept {
  const RunCodes<const std::int8_t> source(codes, bits, order);
  for_each_run(codes.rows, words_for(codes.columns, bits), [&](Run& run) {
    std::int64_t done =
        source.for_each_whole(run, [&](std::int64_t w, std::int64_t i, const std::int8_t* code) {
          run.of_word(w)[i] = join_bytes(code, bits);
        });
    done += source.for_each_column_word(
        run, [&](std::int64_t w, const std::int8_t* code, std::int64_t step,
                 const NibblePairs& pairs) {
          join_columns(code, step, run.lines, pairs, run.of_word(w));
        });
    source.for_each_field(run, done, [&](std::int64_t w, int shift, const std::int8_t* code) {
      add_field(code, codes.row_step, run.lines, bits, shift, run.of_word(w));
    });
    store(run, grid, out);
  });
}

void unpack(const std::byte* in, int bits, WordOrder order, const StridedWords& grid,
            const StridedCodes<std::int8_t>& codes) noexcept {
  const RunCodes<std::int8_t> target(codes, bits, order);
  for_each_run(codes.rows, words_for(codes.columns, bits), [&](Run& run) {
    load(in, grid, run);
    std::int64_t done =
        target.for_each_whole(run, [&](std::int64_t w, std::int64_t i, std::int8_t* code) {
          split_bytes(run.of_word(w)[i], bits, code);
        });
    done += target.for_each_column_word(
        run, [&](std::int64_t w, std::int8_t* code, std::int64_t step, const NibblePairs& pairs) {
          split_columns(run.of_word(w), run.lines, pairs, step, code);
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

Tensor pack_along_rows(const StridedCodes<const std::int8_t>& codes, int bits, WordOrder order) {
  const std::int64_t words = words_for(codes.columns, bits);
  Tensor packed(DType::i32, {codes.rows, words});
  pack(codes, bits, order, {true, words}, packed.bytes().data());
  return packed;
}

Tensor pack_down_columns(const StridedCodes<const std::int8_t>& codes, int bits) {
  Tensor packed(DType::i32, {words_for(codes.rows, bits), codes.columns});
  pack(codes.transposed(), bits, WordOrder::natural, {false, codes.columns},
       packed.bytes().data());
  return packed;
}

void unpack_along_rows(std::span<const std::byte> words, int bits, WordOrder order,
                       const StridedCodes<std::int8_t>& codes) noexcept {
  unpack(words.data(), bits, order, {true, words_for(codes.columns, bits)}, codes);
}

void unpack_down_columns(std::span<const std::byte> words, int bits,
                         const StridedCodes<std::int8_t>& codes) noexcept {
  unpack(words.data(), bits, WordOrder::natural, {false, codes.columns}, codes.transposed());
}

}  // namespace pare::layout
