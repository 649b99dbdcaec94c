// Looks for NaN and infinity in float tensors.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

namespace pare::pipeline {

/// True when every value is finite; other types than F32, F16 and BF16 always are.
/// Threads: pieces in parallel.
bool all_finite(const Context& ctx, const TensorView& tensor);

/// Errors: not_finite.
void refuse_not_finite(const Context& ctx, const TensorView& tensor);

}  // namespace pare::pipeline
