// The start of a tile's states: its last chunks, packed into them and stepped without
// renormalisation, so that the bits a state begins with hold something.
#pragma once

#include "codec/rans_table.h"

#include <cstddef>
#include <cstdint>

namespace pare::codec::detail {

inline constexpr std::size_t kMostQuiet = 8;  // of a stream; this encoder makes less

/// How many quiet chunks mostly fit into the states of a table.
std::size_t quiet_target(const RansTable& table) noexcept;

/// The states of all lanes after encoding the last chunks of 64 * chunks symbols, u16 little-endian
/// to `states` (128 bytes). Returns the number of quiet chunks among them: at most `target`, fewer
/// where a lane would overflow.
std::size_t encode_quiet(const EncodeTable& table, const std::uint8_t* symbols, std::size_t chunks,
                         std::size_t target, std::uint8_t* states) noexcept;

}  // namespace pare::codec::detail
