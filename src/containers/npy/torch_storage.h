// One torch storage in the legacy stream that `torch.storage._load_from_bytes` takes.
#pragma once

#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pare::containers {

struct TorchStorage {
  DType dtype = DType::u8;
  std::int64_t count = 0;           // elements
  std::span<const std::byte> data;  // inside the stream, count elements
};

/// Reads the stream; it must hold exactly one storage and end with it. Nothing in it is executed.
/// Errors: bad_npy.
/// Source: torch/serialization.py, _legacy_save.
TorchStorage read_torch_storage(std::span<const std::byte> stream);

}  // namespace pare::containers
