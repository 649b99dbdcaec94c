// What a packed weight file says about the file it stands for. Format: docs/formats/packed.md
#pragma once

#include "containers/safetensors/header.h"
#include "containers/tensor_source.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pare::containers {

/// Tensors of a packed file that are none of the original's.
inline constexpr std::string_view kManifestName = "pare.file";      // U8: the manifest as JSON
inline constexpr std::string_view kSkeletonName = "pare.skeleton";  // U8: bytes outside tensors
inline constexpr std::string_view kSealName = "pare.seal";  // U8 [8]: XXH3-64, little-endian
/// Key of `__metadata__` that holds the version.
inline constexpr std::string_view kPackedKey = "pare_codec";

/// One tensor of the original file.
struct PackedRange {
  TensorInfo info;
  std::size_t begin = 0;  // in the original file
  std::size_t end = 0;
  bool coded = false;
  std::uint64_t hash = 0;  // XXH3-64 of the bytes, of tensors that are not coded
};

struct PackedManifest {
  std::string file;  // the original's name
  std::size_t size = 0;
  std::string sha256;               // of the original
  std::vector<PackedRange> ranges;  // by place, apart from each other
};

/// True for a file made by the packed-file writer, also when one of its marks was damaged.
bool is_packed(const SafetensorsHeader& header) noexcept;

/// The type and shape that a tensor's bytes are coded as.
struct CodedForm {
  DType dtype = DType::u8;
  Shape shape;
};

/// Its own, or plain bytes when the stream has no name for its type (docs/formats/codec.md).
CodedForm coded_form(const TensorInfo& info);

/// "layers.0.q_proj" for "layers.0.q_proj.weight": what index and info of a coded tensor go by.
std::string_view packed_module(std::string_view tensor) noexcept;
std::string index_name(std::string_view tensor);
std::string info_name(std::string_view tensor);

/// One line of JSON whose length does not depend on the hashes.
std::string manifest_text(const PackedManifest& manifest);

/// Every rule holds afterwards: ranges lie by place, inside the file and apart, and have the sizes
/// of their shapes. Errors: corrupt_stream, feature_not_supported (a later version).
PackedManifest parse_manifest(std::string_view text);

}  // namespace pare::containers
