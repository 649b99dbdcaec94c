// A written folder read back: the description says which tensors make a quantized linear.
#pragma once

#include "containers/tensor_source.h"
#include "layouts/ascend/description.h"
#include "layouts/layout.h"

#include <filesystem>
#include <memory>

namespace pare::layout {

/// `source` holds the tensors under their full names; `path` names the description in messages.
/// Errors: bad_description when description and tensors disagree: other names, a linear whose parts
///         have several types, are incomplete or too many.
std::unique_ptr<QuantizedCheckpoint> make_checkpoint(
    std::unique_ptr<containers::TensorSource> source, const Description& description, Int4 int4,
    const std::filesystem::path& path);

}  // namespace pare::layout
