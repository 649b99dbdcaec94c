#include "codec/stream/table_choice.h"

#include "codec/rans/chunk_index.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace pare::codec::detail {

namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kTileSymbols = 32768;
// A lane's state takes 16 bits and holds about 11.5. Seeds lose some more, see lane_units.
constexpr std::uint64_t kLaneUnits = kUnitsPerBit * 9 / 2;
constexpr std::uint64_t kNoRoom = 24 * kUnitsPerBit;  // "cost" of frequency 0 while assigning

// units[f] = 65536 * log2(256 / f), by repeated squaring.
constexpr std::array<std::uint64_t, kScale + 1> make_units() {
  std::array<std::uint64_t, kScale + 1> units{};
  units[0] = kNoRoom;
  for (std::uint64_t f = 1; f <= kScale; ++f) {
    std::uint64_t whole = 0;
    while (f >> (whole + 1) != 0)
      ++whole;
    std::uint64_t mantissa = (f << 32U) >> whole;  // in [1, 2), 32 binary places
    std::uint64_t log = whole;
    for (int bit = 0; bit < 16; ++bit) {
      mantissa = (mantissa >> 1U) * (mantissa >> 1U) >> 30U;
      const bool two = mantissa >> 33U != 0;
      log = log << 1U | (two ? 1U : 0U);
      if (two) mantissa >>= 1U;
    }
    units[f] = 8 * kUnitsPerBit - log;
  }
  return units;
}

constexpr auto kUnits = make_units();

// How often a state's low byte is y, times 65536 * 256: states x are about as frequent as 1 / x, so
// low slots are met more often than high ones.
constexpr std::array<std::uint64_t, kScale> make_slot_weights() {
  std::array<std::uint64_t, kScale> weights{};
  std::uint64_t sum = 0;
  for (std::uint64_t y = 0; y < kScale; ++y) {
    for (std::uint64_t q = 1; q < kScale; ++q) {
      weights[y] += (std::uint64_t{1} << 32U) / (2 * kScale * q + 2 * y + 1);
    }
    sum += weights[y];
  }
  for (std::uint64_t& weight : weights)
    weight = weight * kScale * 65536 / sum;
  return weights;
}

constexpr auto kSlotWeights = make_slot_weights();

using EntryCounts = std::array<std::uint64_t, kEntries>;

// What adding a slot to an entry saves, and taking one away costs.
std::uint64_t gain(std::uint64_t count, int f) {
  const auto at = static_cast<std::size_t>(f);
  return count * (kUnits[at] - kUnits[at + 1]);
}

// Frequencies for counts[0..n], n being the escape: near the optimum by steepest descent.
void descend(RansTable& table, const EntryCounts& counts, bool escape_may_vanish) {
  const std::size_t used = static_cast<std::size_t>(table.n) + 1;
  const std::uint64_t total =
      std::accumulate(counts.begin(), counts.begin() + table.n + 1, std::uint64_t{0});
  std::array<int, kEntries> f{};
  std::array<int, kEntries> least{};
  int sum = 0;
  for (std::size_t i = 0; i < used; ++i) {
    least[i] = i + 1 == used && escape_may_vanish && counts[i] == 0 ? 0 : 1;
    const auto share = static_cast<int>(total == 0 ? 0 : counts[i] * kScale / total);
    f[i] = std::clamp(share, least[i], kScale - 1);
    sum += f[i];
  }
  for (int round = 0; round < 4 * kScale; ++round) {
    std::size_t up = used;
    std::size_t down = used;
    std::uint64_t best = 0;
    std::uint64_t worst = kNever;
    for (std::size_t i = 0; i < used; ++i) {
      if (f[i] < kScale - 1 && (up == used || gain(counts[i], f[i]) > best)) {
        up = i;
        best = gain(counts[i], f[i]);
      }
      if (f[i] > least[i] && gain(counts[i], f[i] - 1) < worst) {
        down = i;
        worst = gain(counts[i], f[i] - 1);
      }
    }
    if (sum == kScale && best <= worst) break;
    if (sum <= kScale) f[up] += 1;
    if (sum >= kScale) f[down] -= 1;
    sum += sum < kScale ? 1 : sum > kScale ? -1 : 0;
  }
  for (std::size_t i = 0; i < used; ++i)
    table.freqs[i] = static_cast<std::uint8_t>(f[i]);
}

// The same, and then once more with every count divided by the weight of the slots it was given.
void assign(RansTable& table, const EntryCounts& counts, bool escape_may_vanish) {
  descend(table, counts, escape_may_vanish);
  EntryCounts even{};
  std::size_t slot = 0;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(table.n); ++i) {
    std::uint64_t weight = 0;
    for (std::size_t f = 0; f < table.freqs[i]; ++f)
      weight += kSlotWeights[slot++];
    even[i] = weight == 0 ? counts[i] : counts[i] * table.freqs[i] * 65536 / weight;
  }
  descend(table, even, escape_may_vanish);
}

// How often each index of `table` occurs, and what is in the escape list.
struct Indexed {
  EntryCounts entries{};
  std::uint64_t escapes = 0;
  std::uint64_t above_seven = 0;  // of them, c >= 7
  std::uint64_t above_steps = 0;  // c >= 22
  std::uint64_t above_split = 0;  // c >= 48

  void add_code(int c, std::uint64_t count) {
    above_seven += c >= 7 ? count : 0;
    above_steps += c >= 22 ? count : 0;
    above_split += c >= 48 ? count : 0;
  }
};

Indexed index_single(const RansTable& table, const SymbolCounts& c) {
  Indexed out;
  const int values = kScale >> table.shift;
  for (int u = 0; u < kScale; ++u) {
    const std::uint64_t count = c.counts[static_cast<std::uint8_t>(u + table.base)];
    const int hi = u >> table.shift;
    out.entries[static_cast<std::size_t>(std::min(hi, table.n))] += count;
    if (hi < table.n) continue;
    out.add_code(std::min(2 * (hi - table.n), 2 * (values - 1 - hi) + 1), count);
  }
  out.escapes = out.entries[static_cast<std::size_t>(table.n)];
  return out;
}

Indexed index_pairs(const RansTable& table, const SymbolCounts& c) {
  Indexed out;
  std::array<std::uint8_t, 64> index{};
  index_pairs(table, index.data());
  for (std::size_t pair = 0; pair < 64; ++pair) {
    out.entries[index[pair]] += c.pairs[pair];
    const unsigned stands = index[pair] == table.n ? 63U : table.pairs[index[pair]];
    const unsigned members =
        ((stands & 7U) == kPairEscape ? 1U : 0U) + (stands >> 3U == kPairEscape ? 1U : 0U);
    out.escapes += members * c.pairs[pair];
  }
  for (int d = -128; d < 128; ++d) {
    const std::uint8_t symbol = static_cast<std::uint8_t>(table.base + 3 + d);
    out.add_code(d >= 0 ? 2 * d : -2 * d - 1, c.counts[symbol]);
  }
  return out;
}

Indexed index_counts(const RansTable& table, const SymbolCounts& c) {
  return table.pair ? index_pairs(table, c) : index_single(table, c);
}

std::uint64_t escape_units(int form, const Indexed& in) {
  const std::array<std::uint64_t, 3> bits = {
      8 * in.escapes, 3 * in.escapes + 4 * in.above_seven + 8 * in.above_steps,
      6 * in.escapes + 4 * in.above_split};
  return bits[static_cast<std::size_t>(form)] * kUnitsPerBit;
}

// What a lane loses when the average index takes `index_units`: seeds lie in fields of equal width.
std::uint64_t lane_units(const RansTable& table, std::uint64_t index_units) {
  const std::uint64_t field = static_cast<std::uint64_t>(table.seed_bits()) * kUnitsPerBit;
  const std::uint64_t seeds = table.n < kSeedPairs ? 2 : 1;
  return kLaneUnits + (field > index_units ? seeds * (field - index_units) : 0);
}

std::uint64_t units_of(const RansTable& table, const SymbolCounts& c, const Indexed& in) {
  std::uint64_t coded = 0;
  std::uint64_t indices = 0;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(table.n); ++i) {
    if (in.entries[i] != 0 && table.freqs[i] == 0) return kNever;
    coded += in.entries[i] * kUnits[table.freqs[i]];
    indices += in.entries[i];
  }
  const std::uint64_t lanes = static_cast<std::uint64_t>(table.lanes());
  const std::uint64_t lane = lane_units(table, indices == 0 ? 0 : coded / indices);
  return coded + escape_units(table.escape_form, in) + c.total * lanes * lane / kTileSymbols +
         c.total * static_cast<std::uint64_t>(table.shift) * kUnitsPerBit;
}

struct Best {
  RansTable table;
  std::uint64_t units = kNever;

  // Gives the table its frequencies and keeps it when it is the cheapest so far.
  void offer(RansTable candidate, const SymbolCounts& c, bool escapes_impossible) {
    const Indexed in = index_counts(candidate, c);
    assign(candidate, in.entries, escapes_impossible);
    for (int form = 1; form < 3; ++form) {
      if (escape_units(form, in) < escape_units(candidate.escape_form, in)) {
        candidate.escape_form = form;
      }
    }
    const std::uint64_t cost = units_of(candidate, c, in);
    if (cost >= units) return;
    table = candidate;
    units = cost;
  }
};

// The start of the `width` neighbouring values that hold the most symbols; the middle of ties.
std::uint8_t best_window(const SymbolCounts& c, int width) {
  std::uint64_t mass = 0;
  for (int v = 0; v < width; ++v)
    mass += c.counts[static_cast<std::uint8_t>(v - 128)];
  std::uint64_t best = mass;
  int first = 0;
  int last = 0;
  for (int start = 1; start < kScale; ++start) {
    mass -= c.counts[static_cast<std::uint8_t>(start - 1 - 128)];
    mass += c.counts[static_cast<std::uint8_t>(start + width - 1 - 128)];
    if (mass > best) {
      best = mass;
      first = start;
      last = start;
    } else if (mass == best && last == start - 1) {
      last = start;
    }
  }
  return static_cast<std::uint8_t>((first + last) / 2 - 128);
}

constexpr std::array kSizes = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                               14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 56, 63};

// A sample may have missed a rare value; only a complete count proves that none escapes.
bool nothing_escapes(const RansTable& table, const SymbolCounts& c) {
  return c.complete || (!table.pair && table.n == kScale >> table.shift);
}

void offer_single(const SymbolCounts& c, int shift, std::span<const int> sizes, Best& best) {
  for (const int n : sizes) {
    if (n < 1 || n >= kEntries || n > kScale >> shift) continue;
    RansTable table;
    table.shift = shift;
    table.n = n;
    table.base = best_window(c, n << shift);
    best.offer(table, c, nothing_escapes(table, c));
    const std::uint8_t beyond = static_cast<std::uint8_t>(table.base + (n << shift));
    std::uint64_t outside = 0;
    for (int v = 0; v < kScale - (n << shift); ++v) {
      outside += c.counts[static_cast<std::uint8_t>(beyond + v)];
    }
    if (outside == 0) break;  // larger windows only hold more that never occurs
  }
}

void offer_pairs(const SymbolCounts& c, std::span<const int> sizes, Best& best) {
  if (!c.paired) return;
  std::array<std::uint8_t, 64> order{};
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::stable_sort(order.begin(), order.end() - 1,  // the last is (7, 7), the escape index
                   [&](std::uint8_t a, std::uint8_t b) { return c.pairs[a] > c.pairs[b]; });
  for (const int n : sizes) {
    if (n < 1 || n >= kEntries) continue;
    RansTable table;
    table.pair = true;
    table.n = n;
    table.base = c.pair_base;
    table.pairs = order;
    std::fill(table.pairs.begin() + n, table.pairs.end(), std::uint8_t{0});
    best.offer(table, c, nothing_escapes(table, c));
    if (n == kEntries - 1 || c.pairs[order[static_cast<std::size_t>(n)]] == 0) break;
  }
}

}  // namespace

std::uint64_t units_of_freq(int freq) noexcept { return kUnits[static_cast<std::size_t>(freq)]; }

SymbolCounts count_symbols(std::span<const std::uint8_t> symbols, bool complete) {
  SymbolCounts c;
  std::array<std::array<std::uint32_t, 256>, 4> parts{};  // neighbours count without waiting
  std::size_t i = 0;
  for (; i + 4 <= symbols.size(); i += 4) {
    for (std::size_t part = 0; part < 4; ++part)
      ++parts[part][symbols[i + part]];
  }
  for (; i < symbols.size(); ++i)
    ++parts[0][symbols[i]];
  for (std::size_t v = 0; v < 256; ++v) {
    c.counts[v] = std::uint64_t{parts[0][v]} + parts[1][v] + parts[2][v] + parts[3][v];
  }
  c.total = symbols.size();
  c.complete = complete;
  return c;
}

void count_pairs(SymbolCounts& c, std::span<const std::uint8_t> symbols, std::uint8_t base) {
  c.paired = true;
  c.pair_base = base;
  std::array<std::array<std::uint32_t, 64>, 4> parts{};
  for (std::size_t chunk = 0; chunk + kChunk <= symbols.size(); chunk += kChunk) {
    for (std::size_t j = chunk; j < chunk + 32; ++j) {
      const auto a = static_cast<std::uint8_t>(symbols[j] - base);
      const auto b = static_cast<std::uint8_t>(symbols[j + 32] - base);
      ++parts[j % 4][up_to_escape(a) | unsigned{up_to_escape(b)} << 3U];
    }
  }
  for (std::size_t pair = 0; pair < 64; ++pair) {
    c.pairs[pair] =
        std::uint64_t{parts[0][pair]} + parts[1][pair] + parts[2][pair] + parts[3][pair];
  }
}

std::optional<std::uint8_t> base_for_pairs(const SymbolCounts& c) {
  constexpr std::uint64_t kMostOutside = 10;  // one of so many; each costs four bits and more
  const std::uint8_t base = best_window(c, kPairEscape);
  std::uint64_t inside = 0;
  for (int v = 0; v < kPairEscape; ++v)
    inside += c.counts[static_cast<std::uint8_t>(base + v)];
  if ((c.total - inside) * kMostOutside > c.total) return std::nullopt;
  return base;
}

void assume_independent(SymbolCounts& c) {
  c.paired = true;
  c.pair_base = best_window(c, kPairEscape);
  std::array<std::uint64_t, 8> share{};
  for (unsigned v = 0; v < 256; ++v) {
    share[up_to_escape(static_cast<std::uint8_t>(v - c.pair_base))] += c.counts[v];
  }
  for (unsigned pair = 0; pair < 64; ++pair) {
    c.pairs[pair] = c.total == 0 ? 0 : share[pair & 7U] * share[pair >> 3U] / c.total / 2;
  }
}

std::uint64_t cost_units(const RansTable& table, const SymbolCounts& c) {
  if (table.pair && (!c.paired || table.base != c.pair_base)) return kNever;
  return units_of(table, c, index_counts(table, c));
}

std::optional<RansTable> choose_table(const SymbolCounts& c, const RansTable* like) {
  if (c.total == 0) return std::nullopt;
  Best best;
  if (like != nullptr) {
    const std::array sizes = {like->n - 2, like->n - 1, like->n, like->n + 1, like->n + 2};
    if (like->pair) offer_pairs(c, sizes, best);
    if (!like->pair) offer_single(c, like->shift, sizes, best);
  } else {
    for (int shift = 0; shift < 4; ++shift)
      offer_single(c, shift, kSizes, best);
    std::array<int, kEntries - 1> every{};
    std::iota(every.begin(), every.end(), 1);
    offer_pairs(c, every, best);
  }
  const std::uint64_t plain = 8 * kUnitsPerBit * c.total;
  const std::uint64_t own = c.complete ? 8 * kUnitsPerBit * stored(best.table).size() : 0;
  if (best.units + own >= plain - plain / 128) return std::nullopt;
  return best.table;
}

}  // namespace pare::codec::detail
