// The start of a tile's states: its last chunks, packed into them and stepped without
// renormalisation, so that the bits a state begins with hold something.
#pragma once

#include "codec/rans/rans_table.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {

inline constexpr std::size_t kMostQuiet = 8;  // of a stream; this encoder makes less

/// What the last chunks need of a table.
struct QuietTable {
  struct Entry {
    std::uint32_t freq, start, recip;  // see EncodeTable; freq is not 0
  };
  std::array<Entry, kEntries> entries;  // of indices
  std::size_t target;                   // quiet chunks that mostly fit into the states
};

QuietTable quiet_table(const RansTable& table, const EncodeTable& expanded) noexcept;

/// The states of all lanes after encoding the last chunks of 64 * chunks symbols, u16 little-endian
/// to `states` (128 bytes). Returns the number of quiet chunks among them: at most the target,
/// fewer where a lane would overflow.
std::size_t encode_quiet(const QuietTable& quiet, const EncodeTable& table,
                         const std::uint8_t* symbols, std::size_t chunks,
                         std::uint8_t* states) noexcept;

}  // namespace pare::codec::detail
