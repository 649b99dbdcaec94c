// Types of coded tensors, as Ascend's descriptions state types.
#include "layouts/packed_description.h"

#include "containers/packed/manifest.h"
#include "layouts/ascend/description.h"
#include "layouts/ascend/npy_names.h"

#include <fmt/format.h>

#include <set>

namespace pare::layout {
namespace {

constexpr std::string_view kNpyEnding = ".npy";

/// Which of the known dictionaries a file is; nullopt for safetensors and for other `.npy` files.
std::optional<NpyFile> npy_file_of(const std::string& name) {
  for (std::size_t i = 0; i < kNpyFileCount; ++i) {
    if (name == fmt::format("{}{}", kNpyFileNames[i], kNpyEnding)) {
      return static_cast<NpyFile>(i);
    }
  }
  return std::nullopt;
}

/// Coded tensors as a description names them.
std::set<std::string> described_names(const std::vector<CodedTensor>& coded) {
  std::set<std::string> names;
  for (const auto& [file, tensor] : coded) {
    const std::optional<NpyFile> npy = npy_file_of(file);
    names.insert(npy ? full_name(*npy, tensor) : tensor);
  }
  return names;
}

}  // namespace

std::optional<std::string> packed_description(const io::Json& json,
                                              const std::vector<CodedTensor>& coded_tensors,
                                              int codec_version) {
  if (!json.is_object() || !json.contains("model_quant_type")) return std::nullopt;
  const std::set<std::string> coded = described_names(coded_tensors);
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
    out.push_back({key, value.get<std::string>() + std::string(kPackedSuffix)});
    for (std::string name : {containers::index_name(key), containers::info_name(key)}) {
      if (present.insert(name).second) {
        out.push_back({std::move(name), std::string(kPackedTag)});
      }
    }
  }
  const bool has_metadata = json.contains("metadata") && json["metadata"].is_object();
  io::Json metadata = has_metadata ? json["metadata"] : io::Json::object();
  metadata["codec"] = "pare";
  metadata["codec_version"] = codec_version;
  out.push_back({"metadata", std::move(metadata)});
  return io::json_text(std::move(out)) + "\n";
}

}  // namespace pare::layout
