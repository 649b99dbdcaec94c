// Compressed int8 weights as loose .dat files, the way Ascend's weight compression hands them on.
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

struct ExportDatJob {
  std::filesystem::path model;  // quantized folder, packed or not, or one quant_weight.npy
  std::filesystem::path out;
  codec::Tier tier = codec::Tier::dense;
  bool transpose = false;            // tile the transposed matrices
  bool full_names = false;           // files called like tensors ("….weight"), not like modules
  std::vector<std::string> disable;  // patterns of weights that are tiled and not compressed
  std::optional<PseudoSparse> sparse;
  bool overwrite = false;
};

/// Writes weight/, index/, info/ and codec/KEY.dat for every int8 matrix; see
/// docs/formats/packed.md. Memory: one weight tiled. Errors: scheme_not_supported (no int8
/// matrices, 4-bit codes two to a byte), pattern_matches_nothing, feature_not_supported (a key that
/// is no file name), output_exists, output_not_writable, interrupted, those of the containers.
ExportDatResult export_dat(const Context& ctx, const ExportDatJob& job);

}  // namespace pare::pipeline
