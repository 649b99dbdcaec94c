#include "pipeline/open/model_path.h"

#include "containers/safetensors/shard_files.h"
#include "layouts/folder_files.h"
#include "pare/error.h"

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

fs::path parent_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

bool is_all_safetensors(const fs::path& folder, const fs::path& name) {
  try {
    const containers::ShardFiles shards = containers::find_shard_files(folder);
    if (shards.index.filename() == name) return true;
    return shards.files.size() == 1 && shards.files.front().filename() == name;
  } catch (const Error&) {
    return false;  // the folder's weights are not one set
  }
}

bool is_all_weights(const fs::path& folder, const fs::path& name) {
  if (containers::has_safetensors(folder)) return is_all_safetensors(folder, name);
  const auto gguf = layout::files_named(folder, "", ".gguf");
  return gguf.size() == 1 && gguf.front() == name;
}

}  // namespace

std::optional<fs::path> folder_of_weights(const fs::path& file) {
  std::error_code unreadable;
  if (!fs::is_regular_file(file, unreadable)) return std::nullopt;
  const fs::path folder = parent_of(file);
  if (!fs::exists(folder / "config.json", unreadable)) return std::nullopt;
  if (!is_all_weights(folder, file.filename())) return std::nullopt;
  return folder;
}

fs::path model_folder(const fs::path& given) {
  std::error_code unreadable;
  if (!fs::is_regular_file(given, unreadable)) return given;
  if (const auto folder = folder_of_weights(given)) return *folder;
  throw Error(ErrorCode::file_not_found, "the model is not a folder")
      .at(given.string())
      .hint(
          "give the folder that holds config.json and the weights; a file is taken for the model "
          "only where it is all the weights beside a config.json");
}

}  // namespace pare::pipeline
