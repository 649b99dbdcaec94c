// Quantized weights of other programs, told by tensors that no layout of Pare has.
#pragma once

#include "containers/tensor_source.h"

#include <span>
#include <string>
#include <string_view>

namespace pare::layout {

/// What writes tensors whose names end so: "HQQ" for "….W_q"; "" when many do.
std::string_view foreign_writer(std::string_view tensor) noexcept;

/// Whether it is the matrix of a linear in a type that is neither a float nor int8.
bool is_odd_matrix(const containers::TensorInfo& tensor) noexcept;

/// "HQQ", "weights of type U32 (model.layers.0.mlp.up_proj.weight)": how the tensors are quantized;
/// "" when none says that they are.
std::string foreign_weights(std::span<const containers::TensorInfo> tensors);

}  // namespace pare::layout
