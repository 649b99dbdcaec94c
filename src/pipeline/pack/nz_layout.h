// The NZ layout of Ascend's matrix units: int8 matrices cut into blocks of 16 x 32.
#pragma once

#include "pare/context.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pare::pipeline {

inline constexpr std::int64_t kFractalRows = 16;
inline constexpr std::int64_t kFractalColumns = 32;

/// The bytes of an int8 matrix in NZ order.
/// Shapes: `matrix` [rows, columns] row-major, or [columns, rows] with `transpose`; the result is
///         [ceil(columns / 32), ceil(rows / 16), 16, 32]: blocks of columns first, then blocks of
///         rows, each block row-major; what lies outside the matrix is 0.
/// Threads: blocks of columns in parallel. Source: msModelSlim, weight_compression (ND to NZ).
std::vector<std::byte> to_nz(const Context& ctx, std::span<const std::byte> matrix,
                             std::int64_t rows, std::int64_t columns, bool transpose);

}  // namespace pare::pipeline
