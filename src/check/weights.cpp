#include "check/weights.h"

#include "check/json_view.h"
#include "containers/packed/manifest.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace pare::check {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeights = ".safetensors";
constexpr std::string_view kIndex = ".safetensors.index.json";

/// A type of a later version of the format is as right as any.
void note_problem(WeightFile& file, const Error& error) {
  const std::string title(title_of(error.code()));
  file.unsupported = error.code() == ErrorCode::unknown_dtype;
  file.problem = error.detail().empty() ? title : error.detail();
  if (file.unsupported) file.problem = "the data type " + file.problem;
  file.remedy = error.hint().empty() ? "the file is damaged or cut off: fetch it again"
                                     : std::string(error.hint());
}

WeightFile read_file(const fs::path& folder, const std::string& name) {
  WeightFile file;
  file.name = name;
  try {
    file.bytes = std::make_unique<io::MappedFile>(folder / name);
    containers::SafetensorsHeader header =
        containers::parse_safetensors_header(file.bytes->bytes(), name);
    file.packed = containers::is_packed(header);
    file.metadata = std::move(header.metadata);
    file.entries = std::move(header.entries);
    file.bytes->release(0, header.header_bytes);
  } catch (const Error& error) {
    note_problem(file, error);
  } catch (const std::exception& error) {
    file.problem = error.what();
    file.remedy = "the file is damaged or cut off: fetch it again";
  }
  return file;
}

void read_weight_map(const io::Json& json, WeightIndex& index) {
  const io::Json* map = member(json, "weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) {
    index.problem = "it has no weight_map that names tensors";
    return;
  }
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) {
      index.problem = fmt::format("\"{}\" has no file name in the weight_map", tensor);
      return;
    }
    index.file_of[tensor] = file.get<std::string>();
  }
}

WeightIndex read_index(const fs::path& folder, const std::string& name) {
  WeightIndex index;
  index.name = name;
  try {
    const io::Json json = io::read_json(folder / name);
    const io::Json* metadata = member(json, "metadata");
    index.has_metadata = metadata != nullptr && metadata->is_object();
    if (index.has_metadata) index.total_size = integer_of(member(*metadata, "total_size"));
    read_weight_map(json, index);
  } catch (const Error& error) {
    index.problem = error.detail();
  }
  return index;
}

/// Loaders open the files that the index names. One that names none of the files here is stale, and
/// what lies in the folder is looked at instead.
void choose_files(Weights& weights) {
  const WeightIndex* index = weights.index();
  if (index == nullptr || !index->problem.empty()) return;
  std::set<std::string> named;
  for (const auto& [tensor, file] : index->file_of)
    named.insert(file);
  const bool any = std::any_of(weights.files.begin(), weights.files.end(),
                               [&](const WeightFile& file) { return named.contains(file.name); });
  for (WeightFile& file : weights.files)
    file.chosen = !any || named.contains(file.name);
}

void collect_tensors(Weights& weights) {
  for (const WeightFile& file : weights.files) {
    if (!file.chosen) continue;
    for (const containers::SafetensorsEntry& entry : file.entries) {
      const StoredTensor tensor{entry.info, &file, entry.begin, entry.end};
      const auto [place, fresh] = weights.tensors.emplace(entry.info.name, tensor);
      if (fresh) continue;
      weights.twins.push_back(
          fmt::format("{} in {} and {}", entry.info.name, place->second.file->name, file.name));
    }
  }
}

}  // namespace

const StoredTensor* Weights::find(std::string_view name) const {
  const auto found = tensors.find(name);
  return found == tensors.end() ? nullptr : &found->second;
}

const WeightFile* Weights::file(std::string_view name) const {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const WeightFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

const WeightIndex* Weights::index() const noexcept {
  const auto usual = std::find_if(indexes.begin(), indexes.end(), [](const WeightIndex& index) {
    return index.name == "model.safetensors.index.json";
  });
  if (usual != indexes.end()) return &*usual;
  return indexes.empty() ? nullptr : &indexes.front();
}

Weights read_weights(const fs::path& folder, const std::set<std::string>& names) {
  Weights weights;
  for (const std::string& name : names) {
    if (name.starts_with('.') || name.ends_with(".npy.safetensors")) continue;
    if (name.ends_with(kWeights)) weights.files.push_back(read_file(folder, name));
    if (name.ends_with(kIndex)) weights.indexes.push_back(read_index(folder, name));
  }
  choose_files(weights);
  collect_tensors(weights);
  return weights;
}

}  // namespace pare::check
