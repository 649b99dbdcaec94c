// Lossless compression of weight tensors: near the entropy of the codes, decoded at memory speed,
// any 32 KiB tile on its own. The stream is specified in docs/formats/codec.md.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pare::codec {

inline constexpr std::size_t kTileBytes = 32768;  // stored bytes a tile stands for
inline constexpr int kVersion = 1;

enum class Tier {
  dense,  // rANS, near the entropy
  fast    // 4-bit codes and escapes: 10-16 % larger, decoded faster
};

/// What the bytes of a tensor are, where its dtype does not say.
enum class Content {
  elements,       // values of the dtype
  packed_nibbles  // two 4-bit codes to a byte
};

/// False for types of which a stream has no name, such as those of less than a byte: their tensors
/// are coded as bytes.
bool has_name_for(DType dtype) noexcept;

/// Where a tile's bytes lie, and a checksum over them: one row of the index.
struct TileEntry {
  std::uint32_t offset = 0;    // from the start of the payload
  std::uint32_t checksum = 0;  // low 32 bits of XXH3-64 of the encoded tile
};

/// Encodes one tensor, tile by tile, so that a tensor of any size needs little memory.
/// Math: docs/formats/codec.md. The bytes do not depend on the CPU or the number of threads.
class TensorEncoder {
 public:
  /// Looks through (a sample of) the tensor to choose transform and tables.
  /// Shapes: any rank; `tensor` may be mapped and must outlive the encoder.
  TensorEncoder(const Context& ctx, const TensorView& tensor, Tier tier, Content content);
  ~TensorEncoder();
  TensorEncoder(const TensorEncoder&) = delete;
  TensorEncoder& operator=(const TensorEncoder&) = delete;

  std::int64_t tiles() const noexcept;

  /// Appends the next `count` tiles to `payload`; call until all tiles are done.
  /// Threads: tiles in parallel through ctx, same bytes for any count.
  void encode(const Context& ctx, std::int64_t count, RawBytes& payload);

  /// After the last tile: false when coding does not pay, or the payload is past 4 GiB.
  bool worthwhile() const noexcept;
  std::vector<TileEntry> index() const;
  std::vector<std::byte> info() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Memory that decoding one tile needs, made once per thread.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(Scratch&&) noexcept;
  struct Buffers;
  Buffers& buffers() noexcept { return *buffers_; }

 private:
  std::unique_ptr<Buffers> buffers_;
};

/// Decodes a tensor, whole or any tile alone. Never reads or writes out of bounds, whatever the
/// bytes are.
class TensorDecoder {
 public:
  /// `payload` must outlive the decoder; info and index are copied.
  /// Errors: corrupt_stream for anything that cannot be, or whose checksum differs; messages say
  ///         which tile, callers add the tensor's name.
  TensorDecoder(std::span<const std::byte> info, std::span<const std::byte> index,
                std::span<const std::byte> payload);
  ~TensorDecoder();
  TensorDecoder(TensorDecoder&&) noexcept;

  DType dtype() const noexcept;
  const Shape& shape() const noexcept;
  std::size_t bytes() const noexcept;  // of the decoded tensor
  std::int64_t tiles() const noexcept;
  std::size_t tile_bytes(std::int64_t tile) const noexcept;  // decoded

  /// Decodes tiles [first, first + count) to `out`, which has exactly their decoded size.
  /// Checks their checksums. No memory is allocated.
  void decode_tiles(std::int64_t first, std::int64_t count, std::span<std::byte> out,
                    Scratch& scratch) const;

  /// All tiles, in parallel, then the checksum of the whole tensor.
  void decode(const Context& ctx, std::span<std::byte> out) const;

  /// XXH3-64 of the decoded tensor, as stored.
  std::uint64_t content_hash() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What a set of symbols would take, without coding them.
struct Estimate {
  double entropy_bits = 0;  // order-0, per symbol
  double coded_bits = 0;    // per symbol, everything counted, for large tensors
};
/// From counts of the 256 values of int8 codes (index = code as unsigned byte).
Estimate estimate(std::span<const std::uint64_t, 256> counts);

}  // namespace pare::codec
