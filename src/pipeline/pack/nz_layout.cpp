#include "pipeline/pack/nz_layout.h"

#include <algorithm>
#include <cstring>

namespace pare::pipeline {
namespace {

/// One block of 16 x 32; `target` is zero already.
void fill_block(std::span<const std::byte> matrix, std::int64_t rows, std::int64_t columns,
                bool transpose, std::int64_t first_row, std::int64_t first_column,
                std::byte* target) {
  const std::int64_t used_rows = std::min(kFractalRows, rows - first_row);
  const std::int64_t used_columns = std::min(kFractalColumns, columns - first_column);
  for (std::int64_t r = 0; r < used_rows; ++r) {
    std::byte* to = target + r * kFractalColumns;
    const std::int64_t row = first_row + r;
    if (!transpose) {
      std::memcpy(to, matrix.data() + row * columns + first_column,
                  static_cast<std::size_t>(used_columns));
      continue;
    }
    for (std::int64_t c = 0; c < used_columns; ++c) {
      to[c] = matrix[static_cast<std::size_t>((first_column + c) * rows + row)];
    }
  }
}

}  // namespace

std::vector<std::byte> to_nz(const Context& ctx, std::span<const std::byte> matrix,
                             std::int64_t rows, std::int64_t columns, bool transpose) {
  constexpr std::int64_t kBlockBytes = kFractalRows * kFractalColumns;
  const std::int64_t row_blocks = (rows + kFractalRows - 1) / kFractalRows;
  const std::int64_t column_blocks = (columns + kFractalColumns - 1) / kFractalColumns;
  std::vector<std::byte> nz(static_cast<std::size_t>(row_blocks * column_blocks * kBlockBytes));
  ctx.parallel_for(column_blocks, [&](std::int64_t k) {
    for (std::int64_t n = 0; n < row_blocks; ++n) {
      fill_block(matrix, rows, columns, transpose, n * kFractalRows, k * kFractalColumns,
                 nz.data() + (k * row_blocks + n) * kBlockBytes);
    }
  });
  return nz;
}

}  // namespace pare::pipeline
