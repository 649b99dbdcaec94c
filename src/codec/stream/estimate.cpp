// What a set of symbols would take, from their counts.
#include "codec/stream/table_choice.h"
#include "pare/codec.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pare::codec {

namespace {

// Counts small enough for the integer arithmetic of the choice; none that occurs becomes 0.
detail::SymbolCounts scaled(std::span<const std::uint64_t, 256> counts, std::uint64_t total) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 30U;
  const std::uint64_t divisor = total / kMost + 1;
  detail::SymbolCounts out;
  for (std::size_t v = 0; v < 256; ++v) {
    out.counts[v] = counts[v] == 0 ? 0 : std::max<std::uint64_t>(1, counts[v] / divisor);
    out.total += out.counts[v];
  }
  out.complete = false;
  assume_independent(out);
  return out;
}

}  // namespace

Estimate estimate(std::span<const std::uint64_t, 256> counts) {
  Estimate result;
  const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (total == 0) return result;
  for (const std::uint64_t count : counts) {
    if (count == 0) continue;
    const double p = static_cast<double>(count) / static_cast<double>(total);
    result.entropy_bits -= p * std::log2(p);
  }
  const double tile_symbols = static_cast<double>(kTileBytes);
  constexpr double kIndexBits = 8 * 8;
  const detail::SymbolCounts c = scaled(counts, total);
  const auto table = choose_table(c);
  const bool one = result.entropy_bits == 0;
  if (!table || one) {
    result.coded_bits = ((one ? 16 : 8 * (tile_symbols + 1)) + kIndexBits) / tile_symbols;
    return result;
  }
  constexpr double kHeaderBits = 8 * 6;
  result.coded_bits = static_cast<double>(cost_units(*table, c)) /
                          static_cast<double>(detail::kUnitsPerBit * c.total) +
                      (kHeaderBits + kIndexBits) / tile_symbols;
  return result;
}

}  // namespace pare::codec
