// Decodes tiles, one or some at a time, whatever their bytes are.
#pragma once

#include "codec/stream/stream_info.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pare::codec::detail {

inline constexpr std::size_t kMostSymbols = 2 * kTileBytes;

/// An encoded tile. `slack` bytes behind it may be read.
struct TileSource {
  std::span<const std::byte> bytes;
  std::size_t slack = 0;
};

/// kMostTiles tiles that are decoded after those at hand, to the place behind theirs: their memory
/// is asked for in good time. Or none.
struct Following {
  std::span<const std::byte> encoded{};
  std::size_t bytes = 0;  // decoded
};

/// Working memory of one tile.
struct alignas(64) TileBuffers {
  std::array<std::uint8_t, kMostSymbols + kSlack> symbols;
  std::array<std::uint8_t, kMostSymbols + kSlack> escapes;
  std::array<std::uint8_t, kTileBytes + 1 + kSlack> copy;  // of a tile without slack behind it
};

/// The way from symbols to stored bytes.
struct TileShape {
  Transform transform = Transform::bytes;
  std::size_t element = 1;
};

TileKind kind_of(const TileSource& tile) noexcept;

// All return nullptr when the tile is sound, else what is wrong with it. `out` has the size of the
// decoded tile; on an error its contents do not matter. No memory is allocated.

/// Kinds raw, constant and nibbles, and rans with `table` (nullptr: there is none).
const char* decode_tile(const TileShape& shape, const DecodeTable* table, const TileSource& tile,
                        std::span<std::byte> out, TileBuffers& buffers) noexcept;

/// Up to kMostTiles tiles of the kind rans with one table and the same decoded size: faster than
/// one by one. `out` and `buffers` belong to the tiles in their order.
const char* decode_rans_tiles(const TileShape& shape, const DecodeTable& table,
                              std::span<const TileSource> tiles,
                              std::span<const std::span<std::byte>> out,
                              std::span<TileBuffers> buffers,
                              const Following& following = {}) noexcept;

}  // namespace pare::codec::detail

namespace pare::codec {

struct Scratch::Buffers {
  std::array<detail::TileBuffers, detail::kMostTiles> tiles;
  detail::DecodeTable table;
};

}  // namespace pare::codec
