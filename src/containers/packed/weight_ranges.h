// An original weight file as tensors and the bytes between them, so that it can be rebuilt exactly.
#pragma once

#include "containers/tensor_source.h"
#include "io/file.h"

#include <cstddef>
#include <optional>
#include <vector>

namespace pare::containers {

/// The bytes of one tensor in its file, row-major and without gaps.
struct TensorRange {
  TensorInfo info;
  std::size_t begin = 0;  // bytes from the start of the file
  std::size_t end = 0;
};

/// All tensors of a safetensors file, by place. Errors: those of parse_safetensors_header.
std::vector<TensorRange> safetensors_ranges(const io::MappedFile& file);

/// All entries of a `.npy` dictionary, by place; nullopt when the file is none, or when it holds
/// something that no list of ranges can stand for: shared or transposed data, other values than
/// arrays, names that safetensors does not allow.
std::optional<std::vector<TensorRange>> npy_dict_ranges(const io::MappedFile& file);

}  // namespace pare::containers
