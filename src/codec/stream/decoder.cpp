// TensorDecoder: checks what stands around the tiles, and gives them to the tile decoder.
#include "codec/rans/kernel_choice.h"
#include "codec/stream/little_endian.h"
#include "codec/stream/tile_decoder.h"
#include "io/hash.h"
#include "pare/codec.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::codec {

using detail::DecodeTable;
using detail::StreamInfo;
using detail::TileSource;

namespace {

constexpr std::int64_t kGroup = 16;  // tiles that one thread decodes before they are hashed

[[noreturn]] void corrupt(const std::string& what) { throw Error(ErrorCode::corrupt_stream, what); }

[[noreturn]] void corrupt_tile(std::int64_t tile, std::string_view what) {
  corrupt(fmt::format("tile {}: {}", tile, what));
}

}  // namespace

struct TensorDecoder::State {
  StreamInfo info;
  std::vector<TileEntry> index;
  std::span<const std::byte> payload;
  std::size_t bytes = 0;
  std::int64_t tiles = 0;
  detail::TileShape shape;

  std::size_t tile_bytes(std::int64_t tile) const {
    return std::min(kTileBytes, bytes - static_cast<std::size_t>(tile) * kTileBytes);
  }
  void read_index(std::span<const std::byte> rows);
  TileSource source(std::int64_t tile) const;
  TileSource checked(std::int64_t tile) const;
  std::int64_t batch(std::int64_t tile, std::int64_t end) const;
  detail::Following following(std::int64_t tile, std::int64_t end) const;
  void decode_range(std::int64_t first, std::int64_t count, std::int64_t ahead,
                    std::span<std::byte> out, Scratch::Buffers& buffers) const;
};

Scratch::Scratch() : buffers_(std::make_unique_for_overwrite<Buffers>()) {}
Scratch::~Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;

TensorDecoder::TensorDecoder(std::span<const std::byte> info, std::span<const std::byte> index,
                             std::span<const std::byte> payload)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.info = detail::parse_info(info, index);
  s.bytes = s.info.bytes();
  s.tiles = s.info.tiles();
  s.shape = {s.info.transform, size_of(s.info.dtype)};
  s.payload = payload;
  if (s.info.payload_bytes != payload.size()) corrupt("the payload has another length");
  s.read_index(index);
}

TensorDecoder::~TensorDecoder() = default;
TensorDecoder::TensorDecoder(TensorDecoder&&) noexcept = default;

// Tiles lie one behind the other and are no larger than a raw one.
void TensorDecoder::State::read_index(std::span<const std::byte> rows) {
  index.resize(static_cast<std::size_t>(tiles));
  for (std::size_t i = 0; i < index.size(); ++i) {
    const auto row = rows.subspan(i * detail::kIndexRow, detail::kIndexRow);
    index[i] = {static_cast<std::uint32_t>(detail::load(row.first(4))),
                static_cast<std::uint32_t>(detail::load(row.last(4)))};
  }
  if (index.empty() ? !payload.empty() : index[0].offset != 0) {
    corrupt("the index does not cover the payload");
  }
  for (std::size_t i = 0; i < index.size(); ++i) {
    const std::size_t end = i + 1 < index.size() ? index[i + 1].offset : payload.size();
    const auto tile = static_cast<std::int64_t>(i);
    if (end > payload.size() || end < index[i].offset + std::size_t{2} ||
        end - index[i].offset > tile_bytes(tile) + 1) {
      corrupt_tile(tile, "the index gives it a length that cannot be");
    }
  }
}

TileSource TensorDecoder::State::source(std::int64_t tile) const {
  const auto at = static_cast<std::size_t>(tile);
  const std::size_t end = at + 1 < index.size() ? index[at + 1].offset : payload.size();
  return {payload.subspan(index[at].offset, end - index[at].offset), payload.size() - end};
}

TileSource TensorDecoder::State::checked(std::int64_t tile) const {
  const TileSource found = source(tile);
  if (static_cast<std::uint32_t>(io::xxh3(found.bytes)) !=
      index[static_cast<std::size_t>(tile)].checksum) {
    corrupt_tile(tile, "its bytes differ from their checksum");
  }
  return found;
}

// How many tiles from `tile` on, before `end`, are whole ones of the kind rans under one table.
std::int64_t TensorDecoder::State::batch(std::int64_t tile, std::int64_t end) const {
  if (info.tables.empty()) return 0;
  const std::int64_t run = info.tiles_per_table;
  end = std::min({end, tile + detail::kMostTiles, (tile / run + 1) * run, tiles});
  std::int64_t count = 0;
  while (tile + count < end && tile_bytes(tile + count) == kTileBytes &&
         kind_of(source(tile + count)) == detail::TileKind::rans) {
    ++count;
  }
  return count;
}

// The next tiles, when all are before `end`.
detail::Following TensorDecoder::State::following(std::int64_t tile, std::int64_t end) const {
  const std::int64_t last = tile + detail::kMostTiles - 1;
  if (last >= end || tile_bytes(last) != kTileBytes) return {};
  const std::byte* from = source(tile).bytes.data();
  const auto last_bytes = source(last).bytes;
  return {{from, last_bytes.data() + last_bytes.size()}, detail::kMostTiles * kTileBytes};
}

// Tiles below `ahead` that follow are decoded afterwards, to the places behind `out`.
void TensorDecoder::State::decode_range(std::int64_t first, std::int64_t count, std::int64_t ahead,
                                        std::span<std::byte> out, Scratch::Buffers& buffers) const {
  constexpr std::size_t kNone = ~std::size_t{0};
  std::size_t expanded = kNone;
  const auto place = [&](std::int64_t tile) {
    return out.subspan(static_cast<std::size_t>(tile - first) * kTileBytes, tile_bytes(tile));
  };
  const auto expanded_table = [&](std::int64_t tile) -> const DecodeTable* {
    if (info.tables.empty()) return nullptr;
    const std::size_t run = static_cast<std::size_t>(tile) / info.tiles_per_table;
    if (run != expanded) expand(info.tables[run], buffers.table);
    expanded = run;
    return &buffers.table;
  };
  for (std::int64_t tile = first; tile < first + count;) {
    const auto some =
        static_cast<std::size_t>(std::max<std::int64_t>(batch(tile, first + count), 1));
    std::array<TileSource, detail::kMostTiles> from;
    std::array<std::span<std::byte>, detail::kMostTiles> to;
    for (std::size_t i = 0; i < some; ++i) {
      from[i] = checked(tile + static_cast<std::int64_t>(i));
      to[i] = place(tile + static_cast<std::int64_t>(i));
    }
    const char* wrong = nullptr;
    if (some > 1) {
      wrong = decode_rans_tiles(shape, *expanded_table(tile), {from.data(), some},
                                {to.data(), some}, buffers.tiles,
                                following(tile + static_cast<std::int64_t>(some), ahead));
    } else {
      const bool rans = kind_of(from[0]) == detail::TileKind::rans;
      wrong = decode_tile(shape, rans ? expanded_table(tile) : nullptr, from[0], to[0],
                          buffers.tiles[0]);
    }
    // One by one, to say which: the kernels do not.
    for (std::size_t i = 0; wrong != nullptr && some > 1 && i < some; ++i) {
      const char* own = decode_tile(shape, &buffers.table, from[i], to[i], buffers.tiles[0]);
      if (own != nullptr) corrupt_tile(tile + static_cast<std::int64_t>(i), own);
    }
    if (wrong != nullptr) corrupt_tile(tile, wrong);
    tile += static_cast<std::int64_t>(some);
  }
}

DType TensorDecoder::dtype() const noexcept { return state_->info.dtype; }
const Shape& TensorDecoder::shape() const noexcept { return state_->info.shape; }
std::size_t TensorDecoder::bytes() const noexcept { return state_->bytes; }
std::int64_t TensorDecoder::tiles() const noexcept { return state_->tiles; }
std::uint64_t TensorDecoder::content_hash() const noexcept { return state_->info.content_hash; }

std::size_t TensorDecoder::tile_bytes(std::int64_t tile) const noexcept {
  return state_->tile_bytes(tile);
}

void TensorDecoder::decode_tiles(std::int64_t first, std::int64_t count, std::span<std::byte> out,
                                 Scratch& scratch) const {
  const State& s = *state_;
  if (first < 0 || count < 0 || count > s.tiles || first > s.tiles - count) {
    throw Error(ErrorCode::internal, "tiles asked for that are not there");
  }
  const std::size_t begin = static_cast<std::size_t>(first) * kTileBytes;
  const std::size_t end = std::min(static_cast<std::size_t>(first + count) * kTileBytes, s.bytes);
  if (out.size() != end - std::min(begin, end)) {
    throw Error(ErrorCode::internal, "the room for tiles has the wrong size");
  }
  s.decode_range(first, count, first + count, out, scratch.buffers());
}

// Group by group: threads decode their pieces, and meanwhile the group before is hashed.
void TensorDecoder::decode(const Context& ctx, std::span<std::byte> out) const {
  const State& s = *state_;
  if (out.size() != s.bytes) {
    throw Error(ErrorCode::internal, "the room for a tensor has the wrong size");
  }
  const std::int64_t pieces = ctx.threads();
  std::vector<Scratch> scratch(static_cast<std::size_t>(pieces));
  io::Xxh3 hash;
  const auto part = [&](std::int64_t first, std::int64_t end) {
    const std::size_t from = std::min(static_cast<std::size_t>(first) * kTileBytes, s.bytes);
    return out.subspan(from, std::min(static_cast<std::size_t>(end) * kTileBytes, s.bytes) - from);
  };
  std::int64_t hashed = 0;
  for (std::int64_t first = 0; hashed < s.tiles; first += kGroup * pieces) {
    ctx.check_cancelled();
    const std::int64_t start = std::min(first, s.tiles);
    ctx.parallel_for(pieces + 1, [&](std::int64_t i) {
      if (i == 0) {
        hash.update(part(hashed, start));
        return;
      }
      const std::int64_t from = std::min(start + (i - 1) * kGroup, s.tiles);
      const std::int64_t to = std::min(from + kGroup, s.tiles);
      s.decode_range(from, to - from, pieces == 1 ? s.tiles : to, part(from, to),
                     scratch[static_cast<std::size_t>(i - 1)].buffers());
    });
    hashed = start;
  }
  if (hash.value() != s.info.content_hash) corrupt("the decoded tensor differs from its checksum");
}

}  // namespace pare::codec
