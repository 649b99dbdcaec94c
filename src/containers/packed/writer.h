// Writes a packed weight file: every tensor of an original one, coded where that pays.
#pragma once

#include "containers/packed/weight_ranges.h"
#include "io/file.h"
#include "pare/codec.h"
#include "pare/context.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace pare::containers {

/// What is decided outside; each function may be empty.
struct PackOptions {
  codec::Tier tier = codec::Tier::dense;
  unsigned mode = 0644;  // of the file made
  /// True for tensors that stay as they are.
  std::function<bool(const TensorInfo&)> leave;
  std::function<codec::Content(const TensorInfo&)> content;
  /// Other bytes to store in a tensor's place, or nothing. The packed file then stands for the
  /// original with those bytes in it.
  std::function<std::optional<std::vector<std::byte>>(const TensorInfo&,
                                                      std::span<const std::byte>)>
      replace;
  /// Names that index and info tensors must not take, beyond those of the file itself.
  const std::set<std::string>* taken = nullptr;
  /// After each batch: bytes of the original done, bytes written.
  std::function<void(const std::string& tensor, std::size_t done, std::size_t written)> progress;
};

struct PackedTensor {
  TensorInfo info;
  bool coded = false;
  std::size_t stored_bytes = 0;  // payload, index and info together; nbytes() when not coded
};

struct PackedResult {
  std::string sha256;  // of the file that unpacking gives back
  std::size_t original_bytes = 0;
  std::size_t packed_bytes = 0;
  std::vector<PackedTensor> tensors;  // by place in the original
};

/// Packs `file`, whose tensors lie at `ranges` (see weight_ranges.h), into a new file at `out`.
/// Memory: about 16 MiB, and 8 bytes per 32 KiB; a replaced tensor in addition. Pages of `file`
/// are given back as they are done. Threads: tiles in parallel; the bytes do not depend on them.
/// Errors: output_not_writable, feature_not_supported (a tensor named like Pare's own; a header
/// beyond what safetensors allows), interrupted.
PackedResult pack_file(const Context& ctx, const io::MappedFile& file,
                       const std::vector<TensorRange>& ranges, const std::filesystem::path& out,
                       const PackOptions& options);

}  // namespace pare::containers
