// Opens weights without a model around them, in any container and layout.
#pragma once

#include "containers/tensor_source.h"

#include <filesystem>
#include <memory>

namespace pare::pipeline {

/// A folder of safetensors, of `.npy` dictionaries or of GGUF files, or one such file; packed ones
/// as well. Errors: those of the readers.
std::unique_ptr<containers::TensorSource> open_weight_source(const std::filesystem::path& path);

}  // namespace pare::pipeline
