// How methods walk a weight: blocks of rows for threads, and rows widened to f32.
#pragma once

#include "kernels/quantize.h"
#include "pare/context.h"
#include "pare/tensor.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace pare::quant {

/// Rows of a block that is worth a thread's while.
inline std::int64_t rows_per_block(std::int64_t columns) noexcept {
  return std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, columns));
}

inline std::int64_t row_blocks(std::int64_t rows, std::int64_t columns) noexcept {
  const std::int64_t block = rows_per_block(columns);
  return (rows + block - 1) / block;
}

/// Calls fn(first row, end row) for every block, in parallel.
/// The blocks depend on the matrix only, never on the number of threads.
template <class Fn>
void for_row_blocks(const Context& ctx, std::int64_t rows, std::int64_t columns, const Fn& fn) {
  const std::int64_t block = rows_per_block(columns);
  ctx.parallel_for(row_blocks(rows, columns), [&](std::int64_t task) {
    ctx.check_cancelled();
    fn(task * block, std::min(rows, (task + 1) * block));
  });
}

/// Rows of an f32, f16 or bf16 matrix as f32; keeps its memory from row to row.
class WidenedRow {
 public:
  /// Row `row`, valid until the next call: the weight's own memory where that is aligned f32.
  std::span<const float> read(const TensorView& weight, std::int64_t row) {
    const auto columns = static_cast<std::size_t>(weight.shape[1]);
    const std::byte* bytes =
        weight.data.data() + static_cast<std::size_t>(row) * columns * size_of(weight.dtype);
    const bool aligned = reinterpret_cast<std::uintptr_t>(bytes) % alignof(float) == 0;
    if (weight.dtype == DType::f32 && aligned) {
      return {reinterpret_cast<const float*>(bytes), columns};
    }
    values_.resize(columns);
    kernels::widen_row(weight.dtype, bytes, weight.shape[1], values_.data());
    return values_;
  }

 private:
  std::vector<float> values_;
};

/// Calls fn(row, its values) for every row, blocks in parallel.
template <class Fn>
void for_widened_rows(const Context& ctx, const TensorView& weight, const Fn& fn) {
  for_row_blocks(ctx, weight.shape[0], weight.shape[1], [&](std::int64_t begin, std::int64_t end) {
    WidenedRow values;
    for (std::int64_t row = begin; row < end; ++row)
      fn(row, values.read(weight, row));
  });
}

}  // namespace pare::quant
