// A tensor in pieces: embeddings are large, and need not be in memory as a whole to be copied.
#pragma once

#include "pare/tensor.h"

#include <algorithm>
#include <cstddef>
#include <span>

namespace pare::layout {

/// Elements in hand at a time.
inline constexpr std::size_t kPieceElements = std::size_t{1} << 20;

/// fn(offset in bytes, bytes) for one run of the tensor after the other.
template <typename Fn>
void for_each_piece(const TensorView& tensor, const Fn& fn) {
  // Elements of less than a byte, and those of an unknown type, are bytes here.
  const std::size_t step = kPieceElements * std::max<std::size_t>(1, size_of(tensor.dtype));
  for (std::size_t offset = 0; offset < tensor.data.size(); offset += step)
    fn(offset, tensor.data.subspan(offset, std::min(step, tensor.data.size() - offset)));
}

}  // namespace pare::layout
