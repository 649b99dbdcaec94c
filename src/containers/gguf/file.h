// The GGUF container, version 3: what its header says, read within limits.
// Source: docs/formats/gguf.md
#pragma once

#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pare::containers {

/// Types of tensors, by their numbers in the file; named are those that Pare reads and writes.
enum class GgufType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,  // blocks of 32: scale, 4-bit codes
  q4_1 = 3,  // and an offset
  q8_0 = 8,  // blocks of 32: scale, 8-bit codes
  bf16 = 30
};

/// How a type lies in a file: runs of `elements` values take `bytes`.
struct GgufBlock {
  GgufType type;
  std::string_view name;
  std::int64_t elements;
  std::int64_t bytes;
  std::optional<DType> dtype = std::nullopt;  // of plain floats
  bool decoded = false;                       // Pare knows what the bytes mean, not the size alone
};

/// nullptr when Pare does not know the number.
const GgufBlock* find_gguf_block(std::uint32_t type) noexcept;
const GgufBlock& gguf_block(GgufType type) noexcept;

/// Types of values in the header, by their numbers in the file.
enum class GgufValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

/// An array as it lies in the file: lists of tokens are long, and most readers want none of them.
struct GgufArray {
  GgufValueType type = GgufValueType::u8;
  std::uint64_t count = 0;
  std::span<const std::byte> bytes;
};

using GgufValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string, GgufArray>;

struct GgufTensor {
  std::string name;
  const GgufBlock* block = nullptr;
  Shape shape;            // outermost first, as everywhere in Pare
  std::size_t begin = 0;  // from the start of the file
  std::size_t size = 0;

  std::int64_t row_elements() const noexcept { return shape[shape.rank() - 1]; }
  std::int64_t row_bytes() const noexcept {
    return row_elements() / block->elements * block->bytes;
  }
};

struct GgufHeader {
  std::map<std::string, GgufValue, std::less<>> values;
  std::vector<GgufTensor> tensors;  // in the order of the file
  std::size_t data_begin = 0;

  /// nullopt when the key is absent. Errors: bad_gguf when it has another type.
  std::optional<std::uint64_t> unsigned_value(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
};

inline constexpr std::size_t kGgufAlignment = 32;
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::size_t kMaxGgufNameBytes = 64;

/// The header of a whole file; every length, count, offset and type is checked against the file
/// before it is used, and tensors neither overlap nor reach beyond its end.
/// Types that Pare does not decode are no error: their blocks are bytes. Errors: bad_gguf placed at
/// `where`; feature_not_supported for a version or byte order that Pare does not read, and for a
/// tensor type that it does not know.
GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& where);

}  // namespace pare::containers
