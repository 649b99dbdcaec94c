// The second copies of smoothed norms that the layout `ascend` holds: norm.module.weight and
// norm.module.bias, tagged with the type of the model.
#pragma once

#include "export/exporter.h"
#include "formats/tensor_source.h"

#include <string>
#include <string_view>

namespace pare::export_ {

/// "a.norm.weight" for "a.norm.module.weight", the same for ".bias"; "" for any other name.
std::string norm_original(std::string_view tensor);

/// "a.norm.module.weight" for "a.norm.weight".
std::string norm_copy(std::string_view tensor);

/// Throws Error(bad_description) when a copy and its original hold different values, or a copy has
/// no original: a reader could take either.
void check_norm_copies(const formats::TensorSource& source);

}  // namespace pare::export_
