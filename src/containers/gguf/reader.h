// GGUF files as tensors under the file's own names, without a model around them.
#pragma once

#include "containers/tensor_source.h"

#include <filesystem>
#include <memory>
#include <vector>

namespace pare::containers {

/// Opens the parts of one model. Types in blocks are foreign ones, named as llama.cpp names them.
/// Errors: file_not_found, bad_gguf (also a name in two files), feature_not_supported.
std::unique_ptr<TensorSource> open_gguf_files(const std::vector<std::filesystem::path>& files);

}  // namespace pare::containers
