#include "codec/stream/quiet_chunks.h"

#include "codec/rans/chunk_index.h"
#include "codec/stream/table_choice.h"

#include <algorithm>
#include <array>
#include <bit>

namespace pare::codec::detail {

namespace {

constexpr unsigned kStateEnd = 65536;

using Entry = QuietTable::Entry;

// x < kStateEnd.
unsigned stepped(unsigned x, const Entry& e) {
  unsigned quotient = x * e.recip >> 16U;
  quotient += x - quotient * e.freq >= e.freq ? 1U : 0U;
  return (quotient << 8U) + (x - quotient * e.freq) + e.start;
}

// The smallest state that steps to `least` or more.
unsigned unstepped(unsigned least, const Entry& e) {
  const unsigned slot = least & 255U;
  const unsigned whole = (least >> 8U) * e.freq;
  if (slot <= e.start) return whole;
  return whole + std::min(slot - e.start, e.freq);
}

constexpr std::size_t kMostTried = 2;  // quiet chunks; more rarely fit

// Indices of the last chunks, in order.
using Indices = std::array<std::array<std::uint8_t, kChunk>, kMostTried + 2>;

struct Ending {
  std::size_t chunks;  // in Indices
  std::size_t seeds;
  std::size_t quiet;
  unsigned seed_bits;
};

// The state of one lane: the least valid one that holds the seeds in its low bits.
unsigned lane_state(const QuietTable& t, const Indices& indices, const Ending& end,
                    std::size_t lane) {
  const std::size_t to = end.chunks - end.seeds;
  const std::size_t from = to - end.quiet;
  unsigned x = kStateMin;
  for (std::size_t c = from; c < to; ++c)
    x = unstepped(x, t.entries[indices[c][lane]]);
  unsigned seeds = 0;
  for (std::size_t c = to; c < end.chunks; ++c)
    seeds = seeds << end.seed_bits | indices[c][lane];
  const unsigned width = end.seed_bits * static_cast<unsigned>(end.seeds);
  const unsigned most = (1U << width) - 1;
  const unsigned units = x > seeds ? (x - seeds + most) >> width : 0;
  x = seeds + (units << width);
  for (std::size_t c = to; c-- > from && x < kStateEnd;)
    x = stepped(x, t.entries[indices[c][lane]]);
  return x;
}

bool try_ending(const QuietTable& t, const Indices& indices, const Ending& end, std::size_t lanes,
                std::uint8_t* states) {
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const unsigned x = lane_state(t, indices, end, lane);
    if (x >= kStateEnd) return false;
    states[2 * lane] = static_cast<std::uint8_t>(x);
    states[2 * lane + 1] = static_cast<std::uint8_t>(x >> 8U);
  }
  return true;
}

std::size_t target_of(const RansTable& table) {
  std::uint64_t units = 1;  // of one index, times 256
  for (std::size_t i = 0; i <= static_cast<std::size_t>(table.n); ++i) {
    units += table.freqs[i] * units_of_freq(table.freqs[i]);
  }
  // What the seeds leave of 16 bits, and a margin for rare symbols.
  const int seeds = table.n < kSeedPairs ? 2 : 1;
  const auto room = static_cast<std::uint64_t>(16 - seeds * table.seed_bits()) * kUnitsPerBit;
  constexpr std::uint64_t kMargin = kUnitsPerBit * 43 / 10;
  return std::min<std::size_t>((room - kMargin) * kScale / units, kMostTried);
}

}  // namespace

QuietTable quiet_table(const RansTable& table, const EncodeTable& expanded) noexcept {
  QuietTable out{};
  for (std::size_t i = 0; i < kEntries; ++i) {
    const unsigned recip = expanded.recip_low[i] | static_cast<unsigned>(expanded.recip_high[i])
                                                       << 8U;
    out.entries[i] = {std::max(1U, unsigned{expanded.freq[i]}), expanded.start[i], recip};
  }
  out.target = target_of(table);
  return out;
}

std::size_t encode_quiet(const QuietTable& quiet, const EncodeTable& table,
                         const std::uint8_t* symbols, std::size_t chunks,
                         std::uint8_t* states) noexcept {
  Ending end{};
  end.seeds = seed_chunks(table.escape, chunks);
  end.seed_bits = static_cast<unsigned>(std::bit_width(unsigned{table.escape}));
  end.quiet = std::min(quiet.target, chunks - end.seeds);
  end.chunks = end.seeds + end.quiet;
  Indices indices;
  for (std::size_t c = 0; c < end.chunks; ++c) {
    std::uint8_t u[kChunk];
    index_chunk(table, symbols + kChunk * (chunks - end.chunks + c), u, indices[c].data());
  }
  const std::size_t lanes = table.pair != 0 ? 32 : 64;
  while (!try_ending(quiet, indices, end, lanes, states))
    --end.quiet;  // none at all always fits
  return end.quiet;
}

}  // namespace pare::codec::detail
