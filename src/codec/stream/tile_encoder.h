// Encodes one tile: its symbols, the kind that is smallest, its bytes.
#pragma once

#include "codec/stream/quiet_chunks.h"
#include "codec/stream/stream_info.h"
#include "pare/tensor.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pare::codec::detail {

/// Working memory, with any contents.
using Room = std::vector<std::uint8_t, UninitializedAllocator<std::uint8_t>>;

/// Symbols and low bytes of stored bytes, in memory that is used again and again.
class SymbolBuffer {
 public:
  SymbolBuffer();
  /// The symbols of `bytes` (a tile or a part of one; whole elements). Valid until the next call.
  std::span<const std::uint8_t> split(Transform transform, std::size_t element,
                                      std::span<const std::byte> bytes);
  /// Beside the symbols of the last split: empty but for floats.
  std::span<const std::uint8_t> low() const noexcept { return low_; }

 private:
  Room symbols_;
  Room low_store_;
  std::span<const std::uint8_t> low_;
};

/// How the tiles of a run are coded. Neither: raw, or constant.
struct TileCoding {
  const RansTable* table = nullptr;           // dense
  std::optional<std::uint8_t> nibble_base{};  // fast
  std::size_t ahead = 0;  // bytes behind the tiles at hand that are wanted after them
};

/// Memory for one tile at a time.
class TileEncoder {
 public:
  TileEncoder();
  /// The encoded bytes, at most one more than `bytes`; valid until the next call.
  std::span<const std::byte> encode(Transform transform, std::size_t element,
                                    const TileCoding& coding, std::span<const std::byte> bytes);
  /// The same for two tiles, each in the memory of its own encoder: faster than one by one.
  static std::array<std::span<const std::byte>, 2> encode_two(
      std::array<TileEncoder, 2>& encoders, Transform transform, std::size_t element,
      const TileCoding& coding, const std::array<std::span<const std::byte>, 2>& tiles);

 private:
  bool start(Transform transform, std::size_t element, const TileCoding& coding,
             std::span<const std::byte> bytes);
  void start_rans(const TileCoding& coding, std::span<const std::uint8_t> symbols);
  std::span<const std::byte> finish();
  std::size_t finish_rans();
  std::size_t encode_nibbles(std::uint8_t base, std::span<const std::uint8_t> symbols);
  const std::uint8_t* padded(std::span<const std::uint8_t> symbols, std::size_t block,
                             std::uint8_t with);
  std::size_t put_escapes(std::size_t at, int form, std::size_t count);
  std::size_t put(std::size_t at, const std::uint8_t* bytes, std::size_t count);

  SymbolBuffer split_;
  Room pad_;
  Room escapes_;
  Room section_;
  Room planes_;
  Room out_;
  std::span<const std::byte> plain_;  // the tile that is being encoded
  RansEncoding rans_{};               // its part for the kernel, when it has one
  std::array<std::uint8_t, 128> states_{};
  std::size_t begin_ = 0;  // of the encoded tile in out_, and where it ends; 0: not to be coded
  std::size_t end_ = 0;
  const RansTable* expanded_ = nullptr;  // the table that table_ holds
  EncodeTable table_{};
  QuietTable quiet_{};
};

}  // namespace pare::codec::detail
