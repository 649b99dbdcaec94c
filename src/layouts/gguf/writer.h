// Writes a model into one GGUF file: names, order of rows, blocks, types of float tensors.
#pragma once

#include "layouts/gguf/model.h"
#include "layouts/layout.h"

#include <filesystem>
#include <memory>
#include <vector>

namespace pare::layout {

/// The type of a float tensor in the file: F32 for vectors (norms and biases), else what
/// `float_type` of the parameters says, "auto" being the type of the source.
DType gguf_float_dtype(const containers::TensorInfo& tensor, const ParamMap& params);

/// Bytes [rows, bytes of a row] that hold the blocks of a linear.
containers::TensorInfo gguf_linear_info(const quant::LinearHeader& linear);

/// Begins model.gguf. Errors: output_not_writable, those of the tokenizer.
std::unique_ptr<Writer> make_gguf_writer(const OutputPlan& plan, const GgufModel& model,
                                         const std::filesystem::path& folder,
                                         const ParamMap& params);

}  // namespace pare::layout
