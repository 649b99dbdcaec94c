// Which table codes given symbols in the fewest bits. All arithmetic is in integers, so that the
// choice, and with it the stream, is the same on every CPU.
#pragma once

#include "codec/rans/rans_table.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace pare::codec::detail {

/// How often each byte occurs among symbols, and which stand 32 apart in a chunk.
struct SymbolCounts {
  std::array<std::uint64_t, 256> counts{};
  std::uint64_t total = 0;
  bool paired = false;                    // whether pairs were counted
  std::uint8_t pair_base = 0;             // first of the seven values that have numbers in `pairs`
  std::array<std::uint64_t, 64> pairs{};  // min(a - base, 7) | min(b - base, 7) << 3
  bool complete = false;                  // nothing was left out: no sample
};

/// Counts `symbols`, without pairs.
SymbolCounts count_symbols(std::span<const std::uint8_t> symbols, bool complete);

/// Counts the pairs, too; chunks of 64 from the start give them (a last partial one gives none).
void count_pairs(SymbolCounts& counts, std::span<const std::uint8_t> symbols, std::uint8_t base);

/// The base that is best for pairs; nullopt when so many symbols lie outside its seven values that
/// pairs cannot pay.
std::optional<std::uint8_t> base_for_pairs(const SymbolCounts& counts);

/// Pairs as if neighbours were independent, for counts without symbols.
void assume_independent(SymbolCounts& counts);

/// Costs are in bits / 65536 ("units").
inline constexpr std::uint64_t kUnitsPerBit = 65536;

/// Units of an index with this frequency (of 256).
std::uint64_t units_of_freq(int freq) noexcept;

/// Units that `counts` take with `table`, lanes and tables included in proportion to whole tiles of
/// 32768 symbols; the largest value when an escape is needed but has no room.
std::uint64_t cost_units(const RansTable& table, const SymbolCounts& counts);

/// The best table found; nullopt when there are no symbols, or plain bytes are as small.
/// `like` limits the search to tables of the same kind and about the same size, which is faster.
std::optional<RansTable> choose_table(const SymbolCounts& counts, const RansTable* like = nullptr);

}  // namespace pare::codec::detail
