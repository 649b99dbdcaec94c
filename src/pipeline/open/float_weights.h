// The weights of a float model, and nothing that only looks like one.
#pragma once

#include "containers/tensor_source.h"

#include <filesystem>
#include <memory>

namespace pare::pipeline {

/// Opens a folder of float weights. FP8 weights with block scales ("quant_method": "fp8" with
/// "weight_block_size", DeepSeek-V3 style) are read as bf16; any other quantized checkpoint is
/// refused, told by its configuration and by its tensors, for a second quantization would take
/// codes for weights.
/// Errors: tensor_mismatch saying how the weights are quantized; those of the readers.
std::unique_ptr<containers::TensorSource> open_float_weights(const std::filesystem::path& folder);

}  // namespace pare::pipeline
