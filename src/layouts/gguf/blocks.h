// Rows of codes as the blocks of 32 that GGUF files hold, and back, every bit.
// Source: docs/formats/gguf.md
#pragma once

#include "containers/gguf/file.h"
#include "pare/quantized_linear.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pare::layout {

/// Columns of a block.
inline constexpr std::int64_t kBlockColumns = 32;

/// One row of a linear, whose groups are multiples of 32 columns, as blocks of `type`.
/// Q4_0: F16 d, 16 bytes: byte j holds code j + 8 low, code j + 16 + 8 high. w = code d.
/// Q4_1: F16 d, F16 m, the same bytes.                                      w = (code + 8) d + m.
/// Q8_0: F16 d, 32 codes.                                                    w = code d.
/// Errors: out_of_range, naming row and group, for a scale that is not exact in F16;
///         scheme_not_supported for a zero whose m = -(zero + 8) d is not.
void encode_row(const quant::QuantizedLinear& q, std::int64_t row, containers::GgufType type,
                std::span<std::byte> out);

/// Codes [in] and, for every group of `columns`, scale and zero of one row.
/// Errors: bad_description when blocks of a group differ, not_finite; scheme_not_supported for an m
/// that no whole zero gives.
struct DecodedRow {
  std::int8_t* codes = nullptr;  // nullptr = not wanted
  float* scales = nullptr;
  float* zeros = nullptr;
};
void decode_row(std::span<const std::byte> row, containers::GgufType type, std::int64_t columns,
                const DecodedRow& out);

}  // namespace pare::layout
