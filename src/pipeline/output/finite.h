// Looks for NaN and infinity in float tensors.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

#include <cstdint>
#include <functional>

namespace pare::pipeline {

/// Elements that are looked at between two calls of `give_back`.
inline constexpr std::int64_t kFiniteInHand = std::int64_t{1} << 22;

/// True when every value is finite; other types than F32, F16 and BF16 always are.
/// Calls `give_back` now and then: tensors may be larger than memory.
/// Threads: pieces in parallel.
bool all_finite(
    const Context& ctx, const TensorView& tensor, const std::function<void()>& give_back = [] {});

/// Errors: not_finite.
void refuse_not_finite(
    const Context& ctx, const TensorView& tensor, const std::function<void()>& give_back = [] {});

}  // namespace pare::pipeline
