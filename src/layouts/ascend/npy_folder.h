// The npy files of a folder as one set of tensors under their full names.
#pragma once

#include "containers/tensor_source.h"
#include "layouts/ascend/description.h"

#include <filesystem>
#include <memory>

namespace pare::layout {

/// Errors: file_not_found without quant_weight.npy; bad_npy; bad_description when two files hold
/// the same tensor.
std::unique_ptr<containers::TensorSource> open_npy_folder(const std::filesystem::path& folder);

/// What the files alone say, for folders without a description: every weight with a scale is a
/// quantized linear, static when it has an input scale, else weight-only; of 4 bits when all codes
/// lie in -8..7. Whether a weight-only linear was meant for dynamic activations cannot be told.
Description infer_description(const containers::TensorSource& source);

}  // namespace pare::layout
