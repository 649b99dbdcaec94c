// The weight files of a folder as they are, read as far as they can be: damage is a text to report
// and no exception.
#pragma once

#include "containers/safetensors/header.h"
#include "io/file.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pare::check {

struct WeightFile {
  std::string name;
  std::string problem;       // why its header cannot be read; "" when it can
  std::string remedy;        // what to do about the problem
  bool unsupported = false;  // the problem is one of Pare, not of the file
  std::map<std::string, std::string> metadata;
  std::vector<containers::SafetensorsEntry> entries;
  bool packed = false;  // made by `pare compress`
  bool chosen = true;   // part of the checkpoint, as the index says where there is one
  std::unique_ptr<io::MappedFile> bytes;
};

struct WeightIndex {
  std::string name;
  std::string problem;  // why it cannot be used; "" when it can
  bool has_metadata = false;
  std::optional<std::int64_t> total_size;
  std::map<std::string, std::string> file_of;  // weight_map
};

struct StoredTensor {
  containers::TensorInfo info;
  const WeightFile* file = nullptr;
  std::size_t begin = 0;  // bytes from the start of the file
  std::size_t end = 0;
};

struct Weights {
  std::vector<WeightFile> files;     // every *.safetensors, by name
  std::vector<WeightIndex> indexes;  // every *.safetensors.index.json, by name
  std::map<std::string, StoredTensor, std::less<>> tensors;  // of the chosen files
  std::vector<std::string> twins;  // "name in a.safetensors and b.safetensors"

  const StoredTensor* find(std::string_view name) const;
  const WeightFile* file(std::string_view name) const;
  /// The index that loaders follow; nullptr when there is none.
  const WeightIndex* index() const noexcept;
};

/// `names` are the files of the folder.
Weights read_weights(const std::filesystem::path& folder, const std::set<std::string>& names);

}  // namespace pare::check
