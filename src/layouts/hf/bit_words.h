// 32-bit words of 4- or 8-bit codes, as AWQ, GPTQ and compressed-tensors files hold them, and back.
// Source: docs/formats/gptq.md, docs/formats/autoawq.md, docs/formats/compressed-tensors.md
#pragma once

#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace pare::layout {

/// Which code of eight lies in which nibble: the first in the lowest, or columns 0 2 4 6 1 3 5 7.
enum class WordOrder : std::uint8_t { natural, awq };

/// A matrix of signed codes inside a larger array: (r, c) is data[r * row_step + c * column_step].
template <typename T>
struct StridedCodes {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t row_step = 0;
  std::int64_t column_step = 1;

  StridedCodes transposed() const noexcept { return {data, columns, rows, column_step, row_step}; }
  operator StridedCodes<const T>() const noexcept requires(!std::is_const_v<T>) {
    return {data, rows, columns, row_step, column_step};
  }
};

/// Words that `count` codes take; the last one is filled up with zero bits.
std::int64_t words_for(std::int64_t count, int bits) noexcept;

/// Codes packed along a row: I32 [rows, words_for(columns)]. A field holds code + 2^(bits - 1).
/// Shapes: bits 4 or 8, the order awq only with 4; codes in -2^(bits-1) .. 2^(bits-1) - 1.
Tensor pack_along_rows(const StridedCodes<const std::int8_t>& codes, int bits, WordOrder order);

/// Codes packed down a column: I32 [words_for(rows), columns], in the natural order.
Tensor pack_down_columns(const StridedCodes<const std::int8_t>& codes, int bits);

/// The other directions. `words` are the bytes of the packed tensor of the grid's shape.
void unpack_along_rows(std::span<const std::byte> words, int bits, WordOrder order,
                       const StridedCodes<std::int8_t>& codes) noexcept;
void unpack_down_columns(std::span<const std::byte> words, int bits,
                         const StridedCodes<std::int8_t>& codes) noexcept;

}  // namespace pare::layout
