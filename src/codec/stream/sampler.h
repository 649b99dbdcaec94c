// What the encoder looks at before it chooses: symbols of a part of the tensor.
#pragma once

#include "codec/stream/table_choice.h"
#include "codec/stream/tile_encoder.h"
#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pare::codec::detail {

/// The stored bytes of one tile of a tensor.
std::span<const std::byte> tile_of(const TensorView& tensor, std::int64_t tile) noexcept;

/// Symbols from places of a tensor.
class Sampler {
 public:
  Sampler(const TensorView& tensor, Transform transform) : tensor_(tensor), transform_(transform) {}

  /// Adds the symbols of tile `tile`: all of them, or four blocks that come to 1 / `part` of it.
  void add(std::int64_t tile, std::size_t part);
  void clear() noexcept { symbols_.clear(); }
  const std::vector<std::uint8_t>& symbols() const noexcept { return symbols_; }

 private:
  TensorView tensor_;
  Transform transform_;
  SymbolBuffer buffer_;
  std::vector<std::uint8_t> symbols_;
};

}  // namespace pare::codec::detail
