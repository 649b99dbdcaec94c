// Lossless compression of a model folder, tensor by tensor, and the way back.
#pragma once

#include "pare/codec.h"
#include "pare/context.h"
#include "pare/convert.h"
#include "pipeline/pack/compressed_folder.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pare::pipeline {

struct CompressJob {
  std::filesystem::path model;  // float, or what `pare quantize` wrote in any format
  std::filesystem::path out;
  codec::Tier tier = codec::Tier::dense;
  std::vector<std::string> disable;    // patterns of tensors and modules that stay as they are
  std::optional<PseudoSparse> sparse;  // changes weights: see docs/formats/packed.md
  bool overwrite = false;
};

/// Packs every weight file of the folder, reads it back and compares its SHA-256; copies the rest.
/// Memory: does not grow with the model; with `sparse`, one int8 matrix more.
/// Errors: bad_usage (packed already), file_not_found (no weights), pattern_matches_nothing,
///         output_exists, output_not_writable, verify_failed, interrupted, those of the containers.
CompressResult compress(const Context& ctx, const CompressJob& job);

struct DecompressJob {
  std::filesystem::path packed;
  std::filesystem::path out;
  bool overwrite = false;
};

/// Gives back every original file, bytes and permissions, each proven by its SHA-256.
/// Errors: file_not_found (not a packed folder, a file is missing), corrupt_stream (file, tensor
///         and tile), output_exists, output_not_writable, interrupted. Nothing stays on disk then.
DecompressResult decompress(const Context& ctx, const DecompressJob& job);

}  // namespace pare::pipeline
