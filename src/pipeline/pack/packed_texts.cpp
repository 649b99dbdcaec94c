#include "pipeline/pack/packed_texts.h"

#include "codec/codec.h"
#include "layouts/ascend/description.h"
#include "layouts/ascend/npy_names.h"
#include "containers/packed/manifest.h"

#include <fmt/format.h>

#include <map>

namespace pare::pipeline {
namespace {

constexpr std::string_view kNpyEnding = ".npy";

/// Which of the known dictionaries a file is; nullopt for safetensors and for other `.npy` files.
std::optional<layout::NpyFile> npy_file_of(const std::string& name) {
  for (std::size_t i = 0; i < layout::kNpyFileCount; ++i) {
    if (name == fmt::format("{}{}", layout::kNpyFileNames[i], kNpyEnding)) {
      return static_cast<layout::NpyFile>(i);
    }
  }
  return std::nullopt;
}

/// Coded tensors as a description names them.
std::set<std::string> described_names(const std::vector<PackedNames>& files) {
  std::set<std::string> names;
  for (const PackedNames& file : files) {
    const std::optional<layout::NpyFile> npy = npy_file_of(file.original);
    for (const std::string& tensor : file.coded) {
      names.insert(npy ? layout::full_name(*npy, tensor) : tensor);
    }
  }
  return names;
}

}  // namespace

std::optional<std::string> packed_description(const io::Json& json,
                                              const std::vector<PackedNames>& files) {
  if (!json.is_object() || !json.contains("model_quant_type")) return std::nullopt;
  const std::set<std::string> coded = described_names(files);
  io::Json::object_t out;
  std::set<std::string> present;
  for (const auto& [key, value] : json.items())
    present.insert(key);
  for (const auto& [key, value] : json.items()) {
    const bool tag = coded.contains(key) && value.is_string();
    if (key == "metadata") continue;
    if (!tag) {
      out.push_back({key, value});
      continue;
    }
    out.push_back({key, value.get<std::string>() + std::string(layout::kPackedSuffix)});
    for (std::string name : {containers::index_name(key), containers::info_name(key)}) {
      if (present.insert(name).second) {
        out.push_back({std::move(name), std::string(layout::kPackedTag)});
      }
    }
  }
  const bool has_metadata = json.contains("metadata") && json["metadata"].is_object();
  io::Json metadata = has_metadata ? json["metadata"] : io::Json::object();
  metadata["codec"] = "pare";
  metadata["codec_version"] = codec::kVersion;
  out.push_back({"metadata", std::move(metadata)});
  return io::Json(std::move(out)).dump(2) + "\n";
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
  return out.dump(2) + "\n";
}

}  // namespace pare::pipeline
