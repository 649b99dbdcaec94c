#include "codec/rans/rans_table.h"

#include "pare/error.h"

#include <algorithm>
#include <bitset>

namespace pare::codec::detail {

namespace {

constexpr unsigned kPair = 1;
constexpr std::uint8_t kBothEscape = kPairEscape | kPairEscape << 3;

void require(bool holds, const char* otherwise) {
  if (!holds) throw Error(ErrorCode::corrupt_stream, otherwise);
}

void check(const RansTable& table) {
  require(table.n >= 1 && table.n < kEntries, "a table lists no symbols, or more than 63");
  require(!table.pair || table.shift == 0, "a table has both pairs and bit planes");
  require(table.n <= kScale >> table.shift, "a table lists more symbols than there are");
  std::bitset<64> seen;
  for (int i = 0; table.pair && i < table.n; ++i) {
    const std::uint8_t pair = table.pairs[static_cast<std::size_t>(i)];
    require(pair < kBothEscape && !seen[pair], "a table lists a pair twice, or one that is none");
    seen.set(pair);
  }
  int sum = 0;
  for (int i = 0; i <= table.n; ++i) {
    const int freq = table.freqs[static_cast<std::size_t>(i)];
    require(freq > 0 || i == table.n, "a table gives a listed symbol no room");
    sum += freq;
  }
  require(sum == kScale, "the frequencies of a table do not sum to 256");
}

void expand_pairs(const RansTable& table, std::uint8_t* first, std::uint8_t* second) {
  for (int i = 0; i < kEntries; ++i) {
    const unsigned pair =
        table.pair && i < table.n ? table.pairs[static_cast<std::size_t>(i)] : kBothEscape;
    first[i] = pair & 7U;
    second[i] = static_cast<std::uint8_t>(pair >> 3U);
  }
}

}  // namespace

// A pair that is not listed becomes one with one escape, the first that is listed, or else two.
void index_pairs(const RansTable& table, std::uint8_t* index) noexcept {
  std::array<std::uint8_t, 64> place{};
  place.fill(static_cast<std::uint8_t>(table.n));
  for (int i = 0; i < table.n; ++i) {
    place[table.pairs[static_cast<std::size_t>(i)]] = static_cast<std::uint8_t>(i);
  }
  for (unsigned pair = 0; pair < 64; ++pair) {
    index[pair] = place[pair];
    if (place[pair] != table.n) continue;
    const std::uint8_t a = place[(pair & 7U) | kPairEscape << 3U];
    const std::uint8_t b = place[kPairEscape | (pair & 56U)];
    index[pair] = std::min(a, b);
  }
}

std::vector<std::byte> stored(const RansTable& table) {
  const unsigned flags = (table.pair ? kPair : 0U) | static_cast<unsigned>(table.shift) << 1U |
                         static_cast<unsigned>(table.escape_form) << 3U;
  std::vector<std::byte> out;
  out.reserve(2 * kEntries);
  for (const unsigned value : {flags, unsigned{table.base}, static_cast<unsigned>(table.n)}) {
    out.push_back(static_cast<std::byte>(value));
  }
  const auto append = [&](const std::array<std::uint8_t, kEntries>& values, int count) {
    const auto bytes = std::as_bytes(std::span(values)).first(static_cast<std::size_t>(count));
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  if (table.pair) append(table.pairs, table.n);
  append(table.freqs, table.n + 1);
  return out;
}

RansTable parse_table(std::span<const std::byte> bytes) {
  require(bytes.size() >= 3, "a table is cut off");
  RansTable table;
  const unsigned flags = std::to_integer<unsigned>(bytes[0]);
  require(flags < 24, "a table has flags that this version does not know");
  table.pair = (flags & kPair) != 0;
  table.shift = static_cast<int>(flags >> 1U & 3U);
  table.escape_form = static_cast<int>(flags >> 3U);
  table.base = std::to_integer<std::uint8_t>(bytes[1]);
  table.n = std::to_integer<int>(bytes[2]);
  require(table.n < kEntries, "a table lists no symbols, or more than 63");
  const auto n = static_cast<std::size_t>(table.n);
  require(bytes.size() == 3 + (table.pair ? n : 0) + n + 1, "a table has the wrong length");
  auto rest = bytes.subspan(3);
  const auto take = [&](std::array<std::uint8_t, kEntries>& values, std::size_t count) {
    std::transform(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(count), values.begin(),
                   [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    rest = rest.subspan(count);
  };
  if (table.pair) take(table.pairs, n);
  take(table.freqs, n + 1);
  check(table);
  return table;
}

void expand(const RansTable& table, DecodeTable& out) noexcept {
  out = DecodeTable{};
  expand_pairs(table, out.first, out.second);
  unsigned slot = 0;
  for (int i = 0; i <= table.n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const unsigned freq = table.freqs[at];
    out.freq[i] = table.freqs[at];
    out.start[i] = static_cast<std::uint8_t>(freq == 0 ? 0 : slot);
    for (unsigned r = 0; r < freq; ++r, ++slot) {
      out.symbol[slot] = static_cast<std::uint8_t>(i);
      out.entry[slot] = static_cast<std::uint32_t>(i) | freq << 8U | r << 16U;
    }
  }
  out.base = table.base;
  out.shift = static_cast<std::uint8_t>(table.shift);
  out.pair = table.pair ? 1 : 0;
  out.escape = static_cast<std::uint8_t>(table.n);
  out.escape_form = static_cast<std::uint8_t>(table.escape_form);
  out.seed_bits = static_cast<std::uint8_t>(table.seed_bits());
  out.escape_even = static_cast<std::uint8_t>(table.pair ? 3 : table.n);
  out.escape_odd = static_cast<std::uint8_t>(table.pair ? 2 : 255 >> table.shift);
}

void expand(const RansTable& table, EncodeTable& out) noexcept {
  out = EncodeTable{};
  std::fill(std::begin(out.freq), std::end(out.freq), std::uint8_t{1});
  expand_pairs(table, out.first, out.second);
  index_pairs(table, out.pair_index);
  unsigned slot = 0;
  for (int i = 0; i < kEntries; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (i <= table.n) {
      out.freq[i] = table.freqs[at];
      out.start[i] = static_cast<std::uint8_t>(out.freq[i] == 0 ? 0 : slot);
      slot += out.freq[i];
    }
    const unsigned recip = out.freq[i] <= 1 ? 65535U : 65536U / out.freq[i];
    out.recip_low[i] = static_cast<std::uint8_t>(recip);
    out.recip_high[i] = static_cast<std::uint8_t>(recip >> 8U);
  }
  out.base = table.base;
  out.shift = static_cast<std::uint8_t>(table.shift);
  out.pair = table.pair ? 1 : 0;
  out.escape = static_cast<std::uint8_t>(table.n);
}

}  // namespace pare::codec::detail
