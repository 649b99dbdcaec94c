// A packed weight file opened: its original tensors, decoded when asked for.
#pragma once

#include "containers/packed/manifest.h"
#include "io/file.h"
#include "pare/codec.h"
#include "pare/context.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pare::containers {

/// Threads: const members may be called from several threads at once.
class PackedFile {
 public:
  /// Reads the header, the manifest and the skeleton and checks them against their seal.
  /// Errors: file_not_found, file_io, bad_safetensors, corrupt_stream (also when the file is not
  /// packed at all), feature_not_supported (a later version).
  explicit PackedFile(const std::filesystem::path& path);
  ~PackedFile();
  PackedFile(PackedFile&&) noexcept;

  const PackedManifest& manifest() const noexcept;
  const std::filesystem::path& path() const noexcept;
  std::size_t packed_bytes() const noexcept;
  /// Tensors of the safetensors file as it lies on disk, without those called `pare.`; sorted.
  const std::vector<std::string>& stored_names() const noexcept;

  /// The original bytes of manifest().ranges[i]: decoded into memory of their own, or mapped;
  /// checked either way. Decoded memory is shared by readers until `release`, and lives as long as
  /// the views. Errors: corrupt_stream, naming file, tensor and tile.
  TensorView read(std::size_t i) const;
  /// Rows [first, first + count) of a matrix: only the tiles they lie in are decoded.
  TensorView read_rows(std::size_t i, std::int64_t first, std::int64_t count) const;
  void release(std::size_t i) const noexcept;

  /// Gives the whole original file to `sink`, front to back in pieces, checking every byte read.
  /// Little memory is used. Errors: corrupt_stream as above; what `sink` throws.
  void rebuild(const Context& ctx,
               const std::function<void(std::span<const std::byte>)>& sink) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether `path` is a packed file; false for anything that cannot be read.
bool is_packed_file(const std::filesystem::path& path) noexcept;

}  // namespace pare::containers
