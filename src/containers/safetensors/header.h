// The header of one safetensors file: which tensors it holds and where their bytes lie.
#pragma once

#include "containers/tensor_source.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace pare::containers {

struct SafetensorsEntry {
  TensorInfo info;
  std::size_t begin = 0;  // bytes from the start of the file
  std::size_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;        // sorted by name
  std::map<std::string, std::string> metadata;  // `__metadata__`
  std::size_t header_bytes = 0;                 // length field and JSON together
};

constexpr std::size_t kMaxSafetensorsHeaderBytes = 100'000'000;
constexpr std::size_t kMaxSafetensorsTensors = 1'000'000;

/// Parses and checks the header of a whole file given as bytes; only the header is read.
/// Every rule of the format holds afterwards: names unique, sizes equal to shape times element
/// size, tensors without gap or overlap, the last one ending with the file. A type that Pare does
/// not know is a foreign one, and takes the bytes that its offsets say. Ranks above
/// Shape::kMaxRank are refused. Errors: bad_safetensors, unknown_dtype (what can be no type's
/// name); both `at` the file named `where`. Source: https://github.com/huggingface/safetensors,
/// format description.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& where);

}  // namespace pare::containers
