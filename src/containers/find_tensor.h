// How a TensorSource finds a tensor among its own.
#pragma once

#include "containers/tensor_source.h"

#include <span>
#include <string_view>

namespace pare::containers {

/// The tensor of that name among `tensors`, which are sorted by name; nullptr when there is none.
const TensorInfo* find_tensor(std::span<const TensorInfo> tensors, std::string_view name) noexcept;

}  // namespace pare::containers
