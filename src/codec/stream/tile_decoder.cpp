#include "codec/stream/tile_decoder.h"

#include "codec/rans/chunk_index.h"
#include "codec/rans/kernel_choice.h"
#include "codec/stream/little_endian.h"
#include "codec/stream/quiet_chunks.h"

#include <algorithm>
#include <cstring>

namespace pare::codec::detail {

namespace {

constexpr std::size_t kNibbleBlock = 128;
constexpr const char* kWrongLength = "its parts do not fill it exactly";

const std::uint8_t* as_u8(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

std::uint8_t* as_u8(std::span<std::byte> bytes) {
  return reinterpret_cast<std::uint8_t*>(bytes.data());
}

std::uintptr_t address_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes.data());
}

// kMostTiles tiles lie at `address`, `bytes` of them together.
Ahead ahead_of(std::uintptr_t address, std::size_t bytes, std::size_t chunks) {
  return {address, bytes / kMostTiles, bytes / kMostTiles / chunks};
}

std::size_t rounded_up(std::size_t size, std::size_t block) {
  return (size + block - 1) / block * block;
}

// One tile on its way: where its symbols go, and what is beside them.
struct Work {
  std::size_t symbols = 0;
  std::uint8_t* to = nullptr;         // room for whole blocks of symbols
  const std::uint8_t* low = nullptr;  // of floats, at the end of the tile
};

// The symbols of bytes that fill whole blocks need no second place.
Work prepare(const TileShape& shape, std::size_t block, std::span<std::byte> out,
             TileBuffers& buffers) {
  Work work;
  work.symbols = symbols_in(shape.transform, shape.element, out.size());
  const bool direct = shape.transform == Transform::bytes && work.symbols % block == 0;
  work.to = direct ? as_u8(out) : buffers.symbols.data();
  return work;
}

void finish(const TileShape& shape, const Work& work, std::span<std::byte> out) {
  const CodecKernels& kernels = current_kernels();
  if (shape.transform == Transform::nibbles) {
    kernels.merge_nibbles(work.to, out.size(), as_u8(out));
  } else if (shape.transform == Transform::floats) {
    kernels.merge_floats(work.to, work.low, work.symbols, static_cast<int>(shape.element),
                         as_u8(out));
  } else if (work.to != as_u8(out)) {
    std::memcpy(out.data(), work.to, out.size());
  }
}

// The tile itself, or a copy with slack behind it.
std::span<const std::uint8_t> with_slack(const TileSource& tile, TileBuffers& buffers) {
  const std::size_t size = tile.bytes.size();
  if (tile.slack >= kSlack) return {as_u8(tile.bytes), size};
  std::memcpy(buffers.copy.data(), tile.bytes.data(), size);
  std::memset(buffers.copy.data() + size, 0, kSlack);
  return {buffers.copy.data(), size};
}

// What an escape section of the table's form has at least.
std::size_t least_escape_bytes(const DecodeTable& table, std::size_t count) {
  switch (table.escape_form) {
    case 0:
      return count;
    case 1:
      return (3 * count + 7) / 8;
    default:
      return (count + 1) / 2 + (count + 3) / 4;
  }
}

// Finds the sections of a rans tile and expands its escapes.
const char* open_rans(const TileShape& shape, const DecodeTable& table,
                      std::span<const std::uint8_t> tile, std::size_t out_bytes,
                      TileBuffers& buffers, Work& work, RansTile& rans) {
  const std::size_t lanes = table.pair != 0 ? 32 : 64;
  if (tile.size() < kRansHeader + 2 * lanes) return "its header cannot be";
  rans.chunks = rounded_up(work.symbols, kChunk) / kChunk;
  rans.quiet = tile[1];
  const std::size_t steps = rans.chunks - seed_chunks(table.escape, rans.chunks);
  if (rans.quiet > std::min(kMostQuiet, steps)) return "its header cannot be";
  rans.renorm_bytes = load(&tile[2], 2);
  rans.escape_count = load(&tile[4], 2);
  const std::size_t planes = table.shift * rans.chunks * 8;
  const std::size_t low = low_bytes_in(shape.transform, shape.element, out_bytes);
  const std::size_t fixed = kRansHeader + 2 * lanes + rans.renorm_bytes + planes + low;
  const std::size_t least = least_escape_bytes(table, rans.escape_count);
  if (tile.size() < fixed + least) return kWrongLength;
  const std::size_t section = tile.size() - fixed;
  if (table.escape_form == 0 && section != rans.escape_count) return kWrongLength;
  rans.states = &tile[kRansHeader];
  rans.renorm = rans.states + 2 * lanes;
  const std::uint8_t* escapes = rans.renorm + rans.renorm_bytes;
  rans.planes = escapes + section;
  rans.out = work.to;
  work.low = rans.planes + planes;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    if (rans.states[2 * lane + 1] == 0) return "a state is below 256";
  }
  rans.escapes = buffers.escapes.data();
  if (!current_kernels().expand_escapes(&table, escapes, section, rans.escape_count,
                                        buffers.escapes.data())) {
    return kWrongLength;
  }
  return nullptr;
}

const char* decode_nibble_tile(const TileShape& shape, const TileSource& source,
                               std::span<std::byte> out, TileBuffers& buffers) {
  Work work = prepare(shape, kNibbleBlock, out, buffers);
  const auto tile = with_slack(source, buffers);
  if (tile.size() < kNibbleHeader) return "its header cannot be";
  const std::size_t blocks = rounded_up(work.symbols, kNibbleBlock) / kNibbleBlock;
  const std::size_t escapes = load(&tile[2], 2);
  const std::size_t low = low_bytes_in(shape.transform, shape.element, out.size());
  const std::size_t codes = blocks * kNibbleBlock / 2;
  if (tile.size() != kNibbleHeader + codes + escapes + low) return kWrongLength;
  const std::uint8_t* at = &tile[kNibbleHeader];
  work.low = at + codes + escapes;
  if (!current_kernels().decode_nibbles(at, blocks, tile[1], at + codes, escapes, work.to)) {
    return "its escapes do not match its codes";
  }
  finish(shape, work, out);
  return nullptr;
}

}  // namespace

TileKind kind_of(const TileSource& tile) noexcept {
  return static_cast<TileKind>(std::to_integer<std::uint8_t>(tile.bytes[0]));
}

const char* decode_rans_tiles(const TileShape& shape, const DecodeTable& table,
                              std::span<const TileSource> tiles,
                              std::span<const std::span<std::byte>> out,
                              std::span<TileBuffers> buffers, const Following& following) noexcept {
  std::array<Work, kMostTiles> work;
  std::array<RansTile, kMostTiles> rans{};
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    work[i] = prepare(shape, kChunk, out[i], buffers[i]);
    const char* wrong = open_rans(shape, table, with_slack(tiles[i], buffers[i]), out[i].size(),
                                  buffers[i], work[i], rans[i]);
    if (wrong != nullptr) return wrong;
  }
  // Floats spend their time on the low bytes behind the codes, which come in by themselves.
  const std::size_t wanted = shape.transform == Transform::floats ? 0 : following.encoded.size();
  const Ahead in = ahead_of(address_of(following.encoded), wanted, rans[0].chunks);
  const Ahead room =
      ahead_of(address_of(out.back()) + out.back().size(), following.bytes, rans[0].chunks);
  if (!current_kernels().decode_rans(&table, rans.data(), static_cast<int>(tiles.size()), in,
                                     room)) {
    return "its codes do not end where they must";
  }
  for (std::size_t i = 0; i < tiles.size(); ++i)
    finish(shape, work[i], out[i]);
  return nullptr;
}

const char* decode_tile(const TileShape& shape, const DecodeTable* table, const TileSource& tile,
                        std::span<std::byte> out, TileBuffers& buffers) noexcept {
  switch (kind_of(tile)) {
    case TileKind::raw:
      if (tile.bytes.size() != 1 + out.size()) return kWrongLength;
      std::memcpy(out.data(), tile.bytes.data() + 1, out.size());
      return nullptr;
    case TileKind::constant:
      if (tile.bytes.size() != 2) return kWrongLength;
      std::memset(out.data(), std::to_integer<int>(tile.bytes[1]), out.size());
      return nullptr;
    case TileKind::rans:
      if (table == nullptr) return "it needs a table, and there is none";
      return decode_rans_tiles(shape, *table, {&tile, 1}, {&out, 1}, {&buffers, 1});
    case TileKind::nibbles:
      return decode_nibble_tile(shape, tile, out, buffers);
  }
  return "its kind is not known";
}

}  // namespace pare::codec::detail
