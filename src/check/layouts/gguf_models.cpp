#include "check/layouts/gguf_models.h"

#include "containers/numbered_name.h"
#include "pare/error.h"

#include <algorithm>
#include <map>
#include <utility>

namespace pare::check {
namespace {

constexpr std::string_view kEnding = ".gguf";

GgufFile read_file(const Folder& folder, const std::string& name) {
  GgufFile file;
  file.name = name;
  try {
    file.bytes = std::make_unique<io::MappedFile>(folder.path() / name);
    file.header = containers::parse_gguf_header(file.bytes->bytes(), name);
  } catch (const Error& error) {
    file.problem = error.detail().empty() ? std::string(title_of(error.code())) : error.detail();
    const bool ours = error.kind() == ErrorKind::unsupported;
    file.unsupported = ours;
    file.remedy = ours || error.hint().empty() ? "fetch the file again" : error.hint();
  }
  return file;
}

/// Of several parts with the same number the last one counts: names may have more or fewer zeros.
GgufModel read_parts(const Folder& folder, const std::map<int, std::string>& names, int parts) {
  std::vector<GgufFile> files;
  std::vector<int> missing;
  for (int number = 1; number <= parts; ++number) {
    const auto name = names.find(number);
    if (name == names.end())
      missing.push_back(number);
    else
      files.push_back(read_file(folder, name->second));
  }
  return {std::move(files), std::move(missing), parts};
}

}  // namespace

bool GgufModel::whole() const noexcept {
  return missing_.empty() && std::all_of(files_.begin(), files_.end(),
                                         [](const GgufFile& f) { return f.problem.empty(); });
}

std::string GgufModel::architecture() const {
  const auto* text = value<std::string>("general.architecture");
  return text != nullptr ? *text : "";
}

const containers::GgufTensor* GgufModel::tensor(std::string_view name) const noexcept {
  for (const GgufFile& file : files_) {
    for (const containers::GgufTensor& tensor : file.header.tensors) {
      if (tensor.name == name) return &tensor;
    }
  }
  return nullptr;
}

std::vector<const containers::GgufTensor*> GgufModel::tensors() const {
  std::vector<const containers::GgufTensor*> all;
  for (const GgufFile& file : files_) {
    for (const containers::GgufTensor& tensor : file.header.tensors)
      all.push_back(&tensor);
  }
  return all;
}

std::vector<GgufModel> gguf_models(const Folder& folder) {
  std::vector<GgufModel> models;
  std::map<std::pair<std::string, int>, std::map<int, std::string>> sets;
  for (const std::string& name : folder.files()) {
    if (!name.ends_with(kEnding)) continue;
    const auto part = containers::numbered_name(name, kEnding);
    if (part && part->number <= part->count)
      sets[{part->base, part->count}][part->number] = name;
    else
      models.push_back(read_parts(folder, {{1, name}}, 1));
  }
  for (const auto& [set, names] : sets)
    models.push_back(read_parts(folder, names, set.second));
  return models;
}

}  // namespace pare::check
