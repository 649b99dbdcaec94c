#include "codec/stream/coding_plan.h"

#include "codec/stream/sampler.h"
#include "codec/stream/table_choice.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace pare::codec::detail {

namespace {

constexpr std::int64_t kCountAll = 8;  // tiles of a tensor that is counted completely
constexpr std::int64_t kMostSampled = 64;
constexpr std::int64_t kRun = 16;  // tiles of a run with a table of its own
constexpr std::int64_t kRunsCompared = 12;
constexpr std::int64_t kWholeTiles = 4;  // about as many bytes are sampled, or more
constexpr std::size_t kMostPart = 8;     // of a sampled tile, as 1 / kMostPart
constexpr std::size_t kRunPart = 8;
constexpr std::size_t kComparedPart = 16;
constexpr std::uint64_t kTableBits = 8 * 32;  // about, with its length

std::int64_t tiles_of(const TensorView& tensor) {
  return static_cast<std::int64_t>((tensor.data.size() + kTileBytes - 1) / kTileBytes);
}

SymbolCounts count_all(const Sampler& sampler, bool complete) {
  SymbolCounts counts = count_symbols(sampler.symbols(), complete);
  if (const auto base = base_for_pairs(counts)) count_pairs(counts, sampler.symbols(), *base);
  return counts;
}

SymbolCounts look(const TensorView& tensor, Transform transform) {
  Sampler sampler(tensor, transform);
  const std::int64_t tiles = tiles_of(tensor);
  if (tiles <= kCountAll) {
    for (std::int64_t tile = 0; tile < tiles; ++tile)
      sampler.add(tile, 1);
    return count_all(sampler, true);
  }
  const std::int64_t looked = std::min(kMostSampled, kCountAll + tiles / 32);
  const auto part = std::bit_floor(static_cast<std::size_t>(looked / kWholeTiles));
  for (std::int64_t i = 0; i < looked; ++i)
    sampler.add(i * (tiles - 1) / (looked - 1), std::min(part, kMostPart));
  return count_all(sampler, false);
}

// Of the tiles of a run, what a table like `pattern` needs.
SymbolCounts look_at_run(Sampler& sampler, std::int64_t first, std::int64_t tiles, std::size_t part,
                         const RansTable& pattern) {
  sampler.clear();
  for (std::int64_t tile = first; tile < std::min(first + kRun, tiles); ++tile) {
    sampler.add(tile, part);
  }
  SymbolCounts counts = count_symbols(sampler.symbols(), false);
  if (pattern.pair) count_pairs(counts, sampler.symbols(), pattern.base);
  return counts;
}

// Whether some runs, spread over the tensor, are smaller with tables of their own. A table fits
// the sample that it was made from better than the rest, so the gain must be more than a little.
bool runs_differ(const TensorView& tensor, Transform transform, const RansTable& table) {
  const std::int64_t tiles = tiles_of(tensor);
  const std::int64_t runs = (tiles + kRun - 1) / kRun;
  if (runs < 2) return false;
  Sampler sampler(tensor, transform);
  std::uint64_t one = 0;
  std::uint64_t own = 0;
  const std::int64_t compared = std::min(runs, kRunsCompared);
  for (std::int64_t i = 0; i < compared; ++i) {
    const std::int64_t first = i * (runs - 1) / (compared - 1) * kRun;
    const SymbolCounts counts = look_at_run(sampler, first, tiles, kComparedPart, table);
    const std::uint64_t shared =
        std::min(cost_units(table, counts), counts.total * 9 * kUnitsPerBit);
    const auto better = choose_table(counts, &table);
    one += shared;
    own += better ? std::min(shared, cost_units(*better, counts)) : shared;
    own += kTableBits * kUnitsPerBit / kComparedPart;
  }
  return own + own / 256 < one;
}

// The first value of the fifteen that hold the most symbols, plus seven.
std::optional<std::uint8_t> nibble_base_for(const SymbolCounts& counts) {
  constexpr int kReach = 7;
  std::uint64_t best = 0;
  int base = 0;
  for (int centre = -128; centre < 128; ++centre) {
    std::uint64_t mass = 0;
    for (int d = -kReach; d <= kReach; ++d) {
      mass += counts.counts[static_cast<std::uint8_t>(centre + d)];
    }
    const bool nearer = mass == best && std::abs(centre) < std::abs(base);
    if (mass < best || (mass == best && !nearer)) continue;
    best = mass;
    base = centre;
  }
  const std::uint64_t bits = 4 * counts.total + 8 * (counts.total - best);
  if (bits >= 8 * counts.total) return std::nullopt;
  return static_cast<std::uint8_t>(base);
}

}  // namespace

CodingPlan plan_coding(const TensorView& tensor, Transform transform, Tier tier) {
  CodingPlan plan;
  const SymbolCounts counts = look(tensor, transform);
  if (tier == Tier::fast) {
    if (transform != Transform::nibbles) plan.nibble_base = nibble_base_for(counts);
    return plan;
  }
  plan.table = choose_table(counts);
  if (!plan.table) return plan;
  plan.per_run = runs_differ(tensor, transform, *plan.table);
  const auto tiles =
      static_cast<std::uint32_t>(std::min<std::int64_t>(tiles_of(tensor), std::int64_t{1} << 31));
  plan.tiles_per_table = plan.per_run ? static_cast<std::uint32_t>(kRun) : std::bit_ceil(tiles);
  return plan;
}

RansTable table_of_run(const TensorView& tensor, Transform transform, std::int64_t first,
                       std::int64_t tiles, const RansTable& pattern) {
  Sampler sampler(tensor, transform);
  const SymbolCounts counts = look_at_run(sampler, first, tiles, kRunPart, pattern);
  return choose_table(counts, &pattern).value_or(pattern);
}

}  // namespace pare::codec::detail
