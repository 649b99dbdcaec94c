// The description of a compressed tensor: what docs/formats/codec.md calls the info, and how
// elements become symbols.
#pragma once

#include "codec/rans/rans_table.h"
#include "pare/codec.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pare::codec::detail {

enum class Transform : std::uint8_t { bytes = 0, nibbles = 1, floats = 2 };
enum class TileKind : std::uint8_t { raw = 0, constant = 1, rans = 2, nibbles = 3 };

inline constexpr std::size_t kRansHeader = 6;    // kind, quiet chunks, renorm bytes, escapes
inline constexpr std::size_t kNibbleHeader = 4;  // kind, base, escapes
inline constexpr std::size_t kIndexRow = 8;

/// Everything in the info but the payload's own bytes.
struct StreamInfo {
  DType dtype = DType::u8;
  Shape shape;
  Transform transform = Transform::bytes;
  std::uint64_t payload_bytes = 0;
  std::uint32_t tiles_per_table = 1;
  std::vector<RansTable> tables;
  std::uint64_t content_hash = 0;

  std::size_t bytes() const;  // of the decoded tensor
  std::int64_t tiles() const;
};

/// How the elements of a tensor become symbols.
Transform transform_for(DType dtype, Content content) noexcept;

/// Number of symbols that `bytes` stored bytes are, and of the bytes beside them.
std::size_t symbols_in(Transform transform, std::size_t element, std::size_t bytes) noexcept;
std::size_t low_bytes_in(Transform transform, std::size_t element, std::size_t bytes) noexcept;

/// The info with its seal over itself and the index.
std::vector<std::byte> write_info(const StreamInfo& info, std::span<const std::byte> index);

/// Errors: corrupt_stream; feature_not_supported for a later version of the stream.
StreamInfo parse_info(std::span<const std::byte> info, std::span<const std::byte> index);

}  // namespace pare::codec::detail
