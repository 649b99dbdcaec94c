// Two 4-bit codes in one byte, and back.
#pragma once

#include "pare/quantized_linear.h"
#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pare::layout {

/// Which two codes share a byte: neighbours along the inputs of a row, or one column of two rows.
/// The code of the even index lies in the low nibble; nibbles are two's complement.
/// Source: docs/formats/ascend.md, "Packing".
enum class Packing { none, inputs, outputs };

/// Rows in pairs when a row has several scales or two stages of them, else inputs in pairs.
Packing packing_of(const quant::Scheme& scheme, std::int64_t in) noexcept;

/// The shape of the stored matrix of a weight [O, I]: [O, I], [O, I/2] or [O/2, I].
Shape packed_shape(std::int64_t out, std::int64_t in, Packing packing);

/// Shapes: codes [O, I] in -8..7, the paired dimension even; the result is I8.
/// Errors: internal when a code does not fit or the dimension is odd.
Tensor pack_int4(std::span<const std::int8_t> codes, std::int64_t out, std::int64_t in,
                 Packing packing);

/// The codes [O, I] of packed bytes. `bytes` holds O * I / 2 of them, the paired dimension is even.
std::vector<std::int8_t> unpack_int4(std::span<const std::byte> bytes, std::int64_t out,
                                     std::int64_t in, Packing packing);

}  // namespace pare::layout
