// Writes safetensors files whose layout is known up front, tensor by tensor, in any order.
#pragma once

#include "containers/tensor_source.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pare::containers {

struct SafetensorsLayout {
  std::filesystem::path folder;
  /// "model" gives model.safetensors; with a shard limit model-00001-of-0000N.safetensors and
  /// model.safetensors.index.json, even when one shard is enough.
  std::string base_name;
  /// Shard limit in bytes; nullopt = one file. In the order of the declared tensors a new shard
  /// begins when the next tensor would reach the limit; one tensor is never split.
  std::optional<std::size_t> max_shard_bytes;
  unsigned file_mode = 0644;
  unsigned index_mode = 0644;  // of the .index.json
};

/// Streaming writer: declares every tensor first (header), then takes the bytes in any order.
/// Inside a file tensors lie by element size (descending), then name; the header is padded to 8.
/// Threads: write calls for different tensors may run at the same time.
class SafetensorsWriter {
 public:
  /// Creates the files. Errors: output_not_writable (also when the disk has too little room for all
  /// of them), internal (duplicate names).
  SafetensorsWriter(const SafetensorsLayout& layout, const std::vector<TensorInfo>& tensors);
  ~SafetensorsWriter();

  /// The whole tensor; dtype and shape must be as declared. Errors: internal, output_not_writable.
  void write(const std::string& name, const TensorView& tensor);

  /// Bytes at an offset inside a declared tensor, for tensors copied in pieces.
  void write_bytes(const std::string& name, std::size_t offset, std::span<const std::byte> bytes);

  /// Checks that every declared byte was written, sets the permissions, and writes the index when
  /// sharded. Returns the names of the files made, index last.
  /// Errors: internal (a tensor never written), output_not_writable.
  std::vector<std::string> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pare::containers
