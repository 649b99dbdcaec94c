// The pickle of a 0-d object array that holds one dictionary of arrays or tensors.
#pragma once

#include "pare/tensor.h"

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pare::containers {

/// One value of the dictionary. `strides` (in elements) say how `data` is laid out; row-major data
/// begins at `offset`.
struct NpyDictEntry {
  std::string name;
  DType dtype = DType::u8;
  Shape shape;
  std::vector<std::int64_t> strides;
  std::int64_t offset = 0;          // elements
  std::span<const std::byte> data;  // inside the pickle
};

/// Reads the pickle without executing anything of it. Every index that shape, strides and offset
/// can form lies inside `data`. Accepts what numpy 1 and 2 and torch write for such dictionaries:
/// arrays in C or Fortran order, numpy scalars, tensors, parameters, views.
/// Errors: bad_npy.
/// Source: numpy/_core/multiarray (array and dtype __reduce__), torch/_utils.py
/// (_rebuild_tensor_v2).
/// `give_back` is called now and then: what was read of the pickle may leave memory.
std::vector<NpyDictEntry> read_npy_dict_pickle(
    std::span<const std::byte> pickle, const std::function<void()>& give_back = [] {});

}  // namespace pare::containers
