#include "pipeline/pack/packed_texts.h"

#include "containers/packed/manifest.h"
#include "layouts/packed_description.h"
#include "pare/codec.h"

#include <map>

namespace pare::pipeline {
std::optional<std::string> packed_description(const io::Json& json,
                                              const std::vector<PackedNames>& files) {
  std::vector<layout::CodedTensor> coded;
  for (const PackedNames& file : files) {
    for (const std::string& tensor : file.coded)
      coded.emplace_back(file.original, tensor);
  }
  return layout::packed_description(json, coded, codec::kVersion);
}

std::optional<std::string> packed_index(const io::Json& json,
                                        const std::vector<PackedNames>& files) {
  const bool usable =
      json.is_object() && json.contains("weight_map") && json["weight_map"].is_object();
  if (!usable) return std::nullopt;
  std::map<std::string, std::string> map;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string()) return std::nullopt;
    map.emplace(tensor, file.get<std::string>());
  }
  bool changed = false;
  for (const PackedNames& file : files) {
    for (const std::string& tensor : file.coded) {
      const auto found = map.find(tensor);
      if (found == map.end() || found->second != file.stored) continue;
      map.emplace(containers::index_name(tensor), file.stored);
      map.emplace(containers::info_name(tensor), file.stored);
      changed = true;
    }
  }
  if (!changed) return std::nullopt;
  io::Json::object_t entries;
  for (const auto& [tensor, file] : map)
    entries.push_back({tensor, file});
  io::Json out = json;
  if (out.contains("metadata") && out["metadata"].is_object()) {
    std::size_t total = 0;
    for (const PackedNames& file : files)
      total += file.stored_bytes;
    out["metadata"]["total_size"] = total;
  }
  out["weight_map"] = std::move(entries);
  return io::json_text(out) + "\n";
}

}  // namespace pare::pipeline
