// Dictionaries of named arrays in `.npy` files, read by a pickle machine that never calls anything.
#pragma once

#include "formats/tensor_source.h"

#include <filesystem>
#include <memory>

namespace pare::formats {

/// Opens one file made as a 0-d object array of dict[str, array]; values are numpy arrays or
/// torch tensors. Only the globals such files need are known; every other one is an error.
/// Errors: file_not_found, bad_npy.
std::unique_ptr<TensorSource> open_npy_dict(const std::filesystem::path& path);

}  // namespace pare::formats
