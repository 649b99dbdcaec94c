#include "pipeline/output/model_files.h"

#include "io/file.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "pare/error.h"

#include <string>
#include <system_error>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

void copy_companion(const fs::path& from, const fs::path& to) {
  std::error_code problem;
  const fs::path folder = to.parent_path();
  if (fs::create_directories(folder, problem)) {
    fs::permissions(folder, static_cast<fs::perms>(0750), problem);
  }
  if (!problem) fs::copy_file(from, to, problem);
  if (!problem) fs::permissions(to, static_cast<fs::perms>(0640), problem);
  if (problem) throw Error(ErrorCode::output_not_writable, problem.message()).at(to.string());
}

void write_config(const ModelFiles& from, const fs::path& folder) {
  io::Json config = io::read_json_as_spelled(from.model / "config.json");
  if (!config.is_object()) {
    throw Error(ErrorCode::bad_config, "the document is not an object")
        .at((from.model / "config.json").string())
        .hint("fetch the model's config.json again, or remove it");
  }
  config.erase("quantization_config");
  config.erase("compression_config");
  config.erase("quantize");
  const layout::Layout& layout = *from.output->layout;
  if (layout.config_patch != nullptr) {
    const io::Json patch = io::parse_json(layout.config_patch(*from.output), "layout's config");
    for (const auto& [key, value] : patch.items())
      config[key] = value;
  }
  // The head is a tensor of its own now; loaders must not tie it to the float embedding again.
  if (from.untie_head) config["tie_word_embeddings"] = false;
  io::write_text(folder / "config.json", io::json_text(config) + "\n", 0640);
}

}  // namespace

void write_model_files(const ModelFiles& from, const fs::path& folder) {
  for (const std::string& name : from.companions->copied)
    copy_companion(from.model / name, folder / name);
  if (fs::exists(from.model / "config.json")) write_config(from, folder);
}

}  // namespace pare::pipeline
