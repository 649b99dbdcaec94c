// Small safetensors files for tests, made by hand or with the writer.
#pragma once

#include "containers/safetensors/writer.h"
#include "containers/tensor_source.h"
#include "pare/tensor.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pare::containers::test {

/// Length field, header text as given, data.
inline std::string file_bytes(std::string_view header, std::string_view data = {}) {
  std::string out;
  for (std::size_t i = 0; i < 8; ++i)
    out += static_cast<char>(header.size() >> (8 * i) & 0xFFU);
  return out.append(header).append(data);
}

inline TensorInfo info_of(std::string name, DType dtype, std::vector<std::int64_t> dims) {
  return {std::move(name), dtype, Shape(std::move(dims))};
}

/// A tensor whose bytes are seed, seed + 1, …
inline Tensor counting(const TensorInfo& info, unsigned seed) {
  Tensor tensor(info.dtype, info.shape);
  for (std::byte& byte : tensor.bytes())
    byte = static_cast<std::byte>(seed++ & 0xFFU);
  return tensor;
}

/// Writes the tensors, the k-th counting from k.
inline std::vector<std::string> write_counting(const SafetensorsLayout& layout,
                                               const std::vector<TensorInfo>& tensors) {
  SafetensorsWriter writer(layout, tensors);
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    writer.write(tensors[k].name, counting(tensors[k], static_cast<unsigned>(k)).view());
  }
  return writer.finish();
}

inline std::string bytes_of(const TensorView& view) {
  return {reinterpret_cast<const char*>(view.data.data()), view.data.size()};
}

}  // namespace pare::containers::test
