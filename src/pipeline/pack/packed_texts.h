// The small JSON files of a folder, rewritten to fit its packed weights.
#pragma once

#include "io/json.h"

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pare::pipeline {

/// A packed weight file as the small files speak of it.
struct PackedNames {
  std::string original;            // "model.safetensors", "quant_weight.npy"
  std::string stored;              // the packed file's name
  std::vector<std::string> coded;  // tensors, as the original calls them
  std::size_t stored_bytes = 0;    // of all its tensors as they are stored
};

/// A description in which coded tensors have types that only Pare knows ("W8A8+PARE1"), so that no
/// other loader takes the payload for weights; nullopt when `json` is no description.
std::optional<std::string> packed_description(const io::Json& json,
                                              const std::vector<PackedNames>& files);

/// A shard index with the index and info tensors in it; nullopt when nothing in it changes.
std::optional<std::string> packed_index(const io::Json& json,
                                        const std::vector<PackedNames>& files);

}  // namespace pare::pipeline
