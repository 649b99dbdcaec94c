// The second copies of smoothed norms that the layout `ascend` holds: norm.module.weight and
// norm.module.bias, tagged with the type of the model.
#pragma once

#include "containers/tensor_source.h"
#include "layouts/layout.h"

#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// "a.norm.weight" for "a.norm.module.weight", the same for ".bias"; "" for any other name.
std::string norm_original(std::string_view tensor);

/// "a.norm.module.weight" for "a.norm.weight".
std::string norm_copy(std::string_view tensor);

/// The tensors that stand for a norm although they have the name of its copy: those whose original
/// is missing or holds other values. Smoothing folds scales into the copy, so the copy counts.
/// Errors: bad_description when copy and original differ in type or shape, or are no floats.
std::vector<std::string> folded_norms(const containers::TensorSource& source);

}  // namespace pare::layout
