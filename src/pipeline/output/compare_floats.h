// A float tensor of the source beside the one in the files.
#pragma once

#include "pare/tensor.h"

#include <cstdint>
#include <functional>
#include <string>

namespace pare::pipeline {

struct TensorComparison {
  std::string problem;  // "" when the tensor is the source's, rounded at most to the file's type
  double moved = 0;     // largest change by rounding
};

/// Elements of a piece.
inline constexpr std::int64_t kComparedElements = std::int64_t{1} << 18;

/// Compares piece by piece and calls `give_back` in between: tensors may be larger than memory.
TensorComparison compare_floats(const TensorView& source, const TensorView& found,
                                const std::function<void()>& give_back);

}  // namespace pare::pipeline
