// The probability table of a run of tiles: as stored, and expanded for the kernels.
#pragma once

#include "codec/rans/rans_kernels.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pare::codec::detail {

inline constexpr int kScale = 256;  // sum of the frequencies

/// What docs/formats/codec.md calls a table; the fields are those of rans_kernels.h.
struct RansTable {
  bool pair = false;
  int escape_form = 0;  // 0 raw, 1 steps, 2 split
  int shift = 0;
  std::uint8_t base = 0;
  int n = 0;                                   // listed indices, 1..63
  std::array<std::uint8_t, kEntries> pairs{};  // pair: first | second << 3 of each index
  std::array<std::uint8_t, kEntries> freqs{};  // n + 1 of them, the escape's last

  int lanes() const noexcept { return pair ? 32 : 64; }
  int seed_bits() const noexcept {
    return static_cast<int>(std::bit_width(static_cast<unsigned>(n)));
  }
};

/// Bytes of the table in the info.
std::vector<std::byte> stored(const RansTable& table);

/// Errors: corrupt_stream, with a detail that says what is wrong, for anything but a table.
RansTable parse_table(std::span<const std::byte> bytes);

/// pair tables: first | second << 3 (7: more than 6, too) -> the index that encodes it.
void index_pairs(const RansTable& table, std::uint8_t* index) noexcept;

void expand(const RansTable& table, DecodeTable& out) noexcept;
void expand(const RansTable& table, EncodeTable& out) noexcept;

}  // namespace pare::codec::detail
