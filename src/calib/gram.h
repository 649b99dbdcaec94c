// The Gram matrix of a linear's inputs, which second-order methods quantize against.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>

namespace pare::calib {

/// gram += Xᵀ·X. Shapes: x [T, I]; gram [I, I], made with the first call.
/// Arithmetic is f32, in the order of the rows. Threads: the same bytes for any number.
void add_gram(const Context& ctx, MatrixView<const float> x, Matrix& gram);

/// Memory of a Gram matrix of `in` inputs, and of adding `rows` rows to it, in bytes.
std::size_t gram_bytes(std::int64_t in) noexcept;
std::size_t add_gram_bytes(std::int64_t in, std::int64_t rows) noexcept;

}  // namespace pare::calib
