// Which safetensors files of a folder make up one checkpoint.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace pare::containers {

struct ShardFiles {
  std::vector<std::filesystem::path> files;    // in order of name, no doubles
  std::filesystem::path index;                 // empty when the folder has none
  std::map<std::string, std::string> file_of;  // the index's weight_map; empty without index
};

/// True when the folder holds weights or an index of this container.
bool has_safetensors(const std::filesystem::path& folder) noexcept;

/// Chooses the files, in this order:
/// 1. `model.safetensors.index.json`, or the only `*.safetensors.index.json`: the files it names;
/// 2. `model.safetensors`;
/// 3. the only complete set `base-0000k-of-0000N.safetensors`, or the only file.
/// Errors: file_not_found (none), bad_index (a named shard is missing, an incomplete set, a file
/// name that is a path, several candidates).
ShardFiles find_shard_files(const std::filesystem::path& folder);

}  // namespace pare::containers
