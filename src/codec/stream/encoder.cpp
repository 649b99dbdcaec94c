// TensorEncoder: tiles in parallel, in groups, and what stands around them.
#include "codec/stream/append.h"
#include "codec/stream/coding_plan.h"
#include "codec/stream/little_endian.h"
#include "codec/stream/sampler.h"
#include "codec/stream/tile_encoder.h"
#include "io/hash.h"
#include "pare/codec.h"
#include "pare/error.h"

#include <algorithm>
#include <array>
#include <limits>

namespace pare::codec {

using detail::Caches;
using detail::CodingPlan;
using detail::RansTable;
using detail::TileCoding;
using detail::TileEncoder;
using detail::Transform;

namespace {

constexpr std::int64_t kGroup = 16;  // tiles that one thread encodes before they are put together
constexpr std::int64_t kCachedTiles = 512;  // 16 MiB: caches may hold them until they are used
constexpr std::size_t kMostPayload = std::numeric_limits<std::uint32_t>::max();

// What one index of the parallel loop makes.
struct Piece {
  std::array<TileEncoder, 2> encoders;
  RawBytes bytes;
  std::vector<TileEntry> entries;  // offsets from the start of the piece

  Piece() { bytes.reserve((kTileBytes + 1) * kGroup); }
};

}  // namespace

struct TensorEncoder::State {
  TensorView tensor;
  Transform transform{};
  CodingPlan plan;
  std::vector<RansTable> tables;  // never moves: sized at once
  std::vector<bool> made;
  std::vector<TileEntry> index;
  std::vector<std::unique_ptr<Piece>> pieces;
  std::int64_t next = 0;
  std::size_t payload_bytes = 0;
  bool too_large = false;
  io::Xxh3 hash;

  std::int64_t tiles() const {
    return static_cast<std::int64_t>((tensor.data.size() + kTileBytes - 1) / kTileBytes);
  }
  void make_tables(const Context& ctx, std::int64_t end);
  void encode_piece(Piece& piece, std::int64_t first, std::int64_t end, RawBytes& bytes,
                    Caches caches) const;
  void add_to_index(const Piece& piece, std::size_t bytes);
  void encode_group(const Context& ctx, std::int64_t end, RawBytes& payload, Caches caches);
  std::vector<std::byte> index_bytes() const;
};

TensorEncoder::TensorEncoder(const Context& /*ctx*/, const TensorView& tensor, Tier tier,
                             Content content)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  if (tensor.data.size() != static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype)) {
    throw Error(ErrorCode::internal, "a tensor's bytes do not match its shape");
  }
  s.tensor = tensor;
  s.transform = detail::transform_for(tensor.dtype, content);
  s.plan = detail::plan_coding(tensor, s.transform, tier);
  const std::int64_t per = s.plan.tiles_per_table;
  if (s.plan.table) s.tables.resize(static_cast<std::size_t>((s.tiles() + per - 1) / per));
  s.made.resize(s.tables.size());
  s.index.reserve(static_cast<std::size_t>(s.tiles()));
}

TensorEncoder::~TensorEncoder() = default;

std::int64_t TensorEncoder::tiles() const noexcept { return state_->tiles(); }

// Tables of all runs that start before tile `end`.
void TensorEncoder::State::make_tables(const Context& ctx, std::int64_t end) {
  if (tables.empty()) return;
  const std::int64_t per = plan.tiles_per_table;
  const std::int64_t first = next / per;
  ctx.parallel_for((end - 1) / per - first + 1, [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(first + i);
    if (made[at]) return;
    tables[at] = plan.per_run ? detail::table_of_run(tensor, transform, (first + i) * per, tiles(),
                                                     *plan.table)
                              : *plan.table;
  });
  for (std::int64_t run = first; run <= (end - 1) / per; ++run) {
    made[static_cast<std::size_t>(run)] = true;
  }
}

// Tiles [first, end) to the end of `bytes`.
void TensorEncoder::State::encode_piece(Piece& piece, std::int64_t first, std::int64_t end,
                                        RawBytes& bytes, Caches caches) const {
  piece.entries.clear();
  const std::size_t start = bytes.size();
  const auto add = [&](std::span<const std::byte> encoded) {
    piece.entries.push_back({static_cast<std::uint32_t>(bytes.size() - start),
                             static_cast<std::uint32_t>(io::xxh3(encoded))});
    detail::append(bytes, encoded, caches);
  };
  const std::size_t element = size_of(tensor.dtype);
  for (std::int64_t tile = first; tile < end;) {
    const std::int64_t run = tile / plan.tiles_per_table;
    TileCoding coding{nullptr, plan.nibble_base};
    const std::size_t behind = static_cast<std::size_t>(tile + 2) * kTileBytes;
    if (behind < tensor.data.size())
      coding.ahead = std::min(2 * kTileBytes, tensor.data.size() - behind);
    if (!tables.empty()) coding.table = &tables[static_cast<std::size_t>(run)];
    const auto now = detail::tile_of(tensor, tile);
    if (tile + 1 < end && (tile + 1) / plan.tiles_per_table == run) {
      const auto next_one = detail::tile_of(tensor, tile + 1);
      for (const auto encoded :
           TileEncoder::encode_two(piece.encoders, transform, element, coding, {now, next_one}))
        add(encoded);
      tile += 2;
    } else {
      add(piece.encoders[0].encode(transform, element, coding, now));
      ++tile;
    }
  }
}

void TensorEncoder::State::add_to_index(const Piece& piece, std::size_t bytes) {
  too_large = too_large || bytes > kMostPayload - payload_bytes;
  if (too_large) return;
  for (TileEntry entry : piece.entries) {
    entry.offset += static_cast<std::uint32_t>(payload_bytes);
    index.push_back(entry);
  }
  payload_bytes += bytes;
}

// Tiles [next, end): one piece a thread, and the hash of the plain bytes beside them.
void TensorEncoder::State::encode_group(const Context& ctx, std::int64_t end, RawBytes& payload,
                                        Caches caches) {
  const std::int64_t count = (end - next + kGroup - 1) / kGroup;
  while (static_cast<std::int64_t>(pieces.size()) < count) {
    pieces.push_back(std::make_unique<Piece>());
  }
  // Others wait for the hash, so it begins first; a thread alone finds the bytes in its cache when
  // the hash comes last.
  const std::int64_t hashing = ctx.threads() > 1 ? 0 : count;
  const std::size_t before = payload.size();  // one piece alone needs no place of its own
  ctx.parallel_for(count + 1, [&](std::int64_t i) {
    if (i == hashing) {
      const std::size_t from = static_cast<std::size_t>(next) * kTileBytes;
      const std::size_t to =
          std::min(static_cast<std::size_t>(end) * kTileBytes, tensor.data.size());
      hash.update(tensor.data.subspan(from, to - from));
      return;
    }
    const std::int64_t piece = hashing == 0 ? i - 1 : i;
    const std::int64_t first = next + piece * kGroup;
    Piece& own = *pieces[static_cast<std::size_t>(piece)];
    own.bytes.clear();
    if (count == 1) return encode_piece(own, first, end, payload, caches);
    encode_piece(own, first, std::min(first + kGroup, end), own.bytes, Caches::fill);
  });
  if (count == 1) {
    add_to_index(*pieces[0], payload.size() - before);
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      const Piece& piece = *pieces[static_cast<std::size_t>(i)];
      add_to_index(piece, piece.bytes.size());
      detail::append(payload, piece.bytes, caches);
    }
  }
  next = end;
}

void TensorEncoder::encode(const Context& ctx, std::int64_t count, RawBytes& payload) {
  State& s = *state_;
  const std::int64_t end = std::min(s.next + std::max<std::int64_t>(count, 0), s.tiles());
  if (s.next == end) return;
  s.make_tables(ctx, end);
  const std::int64_t step = kGroup * ctx.threads();
  const Caches caches = end - s.next > kCachedTiles ? Caches::pass : Caches::fill;
  while (s.next < end) {
    ctx.check_cancelled();
    s.encode_group(ctx, std::min(s.next + step, end), payload, caches);
  }
}

std::vector<std::byte> TensorEncoder::State::index_bytes() const {
  std::vector<std::byte> bytes;
  bytes.reserve(index.size() * detail::kIndexRow);
  for (const TileEntry& entry : index) {
    detail::append(bytes, entry.offset, 4);
    detail::append(bytes, entry.checksum, 4);
  }
  return bytes;
}

bool TensorEncoder::worthwhile() const noexcept {
  const State& s = *state_;
  if (s.too_large || s.next != s.tiles()) return false;
  const std::size_t around = s.index.size() * detail::kIndexRow + info().size();
  return s.payload_bytes + around < s.tensor.data.size();
}

std::vector<TileEntry> TensorEncoder::index() const { return state_->index; }

std::vector<std::byte> TensorEncoder::info() const {
  const State& s = *state_;
  detail::StreamInfo info;
  info.dtype = s.tensor.dtype;
  info.shape = s.tensor.shape;
  info.transform = s.transform;
  info.payload_bytes = s.payload_bytes;
  info.tiles_per_table = s.plan.tiles_per_table;
  info.tables = s.tables;
  info.content_hash = s.hash.value();
  return detail::write_info(info, s.index_bytes());
}

}  // namespace pare::codec
