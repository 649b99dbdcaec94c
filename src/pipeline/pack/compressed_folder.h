// pare_packed.json: what a packed folder holds, and every original file it can give back.
#pragma once

#include "pare/context.h"
#include "pare/convert.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::pipeline {

inline constexpr std::string_view kPackedFolderFile = "pare_packed.json";
inline constexpr std::string_view kOriginalsFolder = "originals";

/// How a packed folder keeps an original file.
enum class Kept {
  packed,  // as a packed weight file
  copied,  // byte for byte in its place
  aside    // byte for byte in originals/; in its place is a rewritten one that fits packed weights
};

struct OriginalFile {
  std::string name;    // relative to the folder, with '/'
  std::string stored;  // the file in the packed folder that holds it, likewise
  std::size_t size = 0;
  std::string sha256;
  unsigned mode = 0;
  Kept kept = Kept::copied;
  std::string rewritten_sha256;  // aside: of the file in its place
};

struct CompressedFolder {
  std::string tier;              // "dense"
  std::size_t weight_bytes = 0;  // of the original weight files
  std::size_t packed_bytes = 0;  // of what they became
  std::optional<PseudoSparse> changed;
  std::vector<OriginalFile> files;  // by name
};

/// JSON that ends with a checksum over itself.
std::string packed_folder_text(const CompressedFolder& packed);

/// Errors: file_not_found (no pare_packed.json), corrupt_stream, feature_not_supported.
CompressedFolder read_packed_folder(const std::filesystem::path& folder);

bool is_packed_folder(const std::filesystem::path& folder) noexcept;

/// Copies a file of any size to a new one with the permissions `mode`; its SHA-256.
/// Errors: file_not_found, file_io, output_not_writable, interrupted.
std::string copy_file(const Context& ctx, const std::filesystem::path& from,
                      const std::filesystem::path& to, unsigned mode);

}  // namespace pare::pipeline
