#include "pipeline/output/model_files.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "io/file.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "pare/error.h"

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 15> kCopied = {
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model",
    "chat_template.jinja", "chat_template.json", "preprocessor_config.json", "processor_config.json",
    "vocab.txt", "sentencepiece.bpe.model"};

bool is_companion(const std::string& name) {
  if (std::find(kCopied.begin(), kCopied.end(), name) != kCopied.end()) return true;
  if (name.ends_with(".tiktoken") || name.ends_with(".py")) return true;
  return name.starts_with("LICENSE") || name.starts_with("NOTICE") || name.starts_with("USE_POLICY");
}

void write_config(const ModelFiles& from, const fs::path& folder) {
  io::Json config = io::read_json(from.model / "config.json");
  config.erase("quantization_config");
  config.erase("compression_config");
  config.erase("quantize");
  const layout::Layout& layout = *from.output->layout;
  if (layout.config_patch != nullptr) {
    const io::Json patch = io::parse_json(layout.config_patch(*from.output), "layout's config");
    for (const auto& [key, value] : patch.items()) config[key] = value;
  }
  // The head is a tensor of its own now; loaders must not tie it to the float embedding again.
  if (from.untie_head) config["tie_word_embeddings"] = false;
  io::write_text(folder / "config.json", config.dump(2) + "\n", 0640);
}

}  // namespace

std::vector<std::string> write_model_files(const ModelFiles& from, const fs::path& folder) {
  std::vector<std::string> written;
  for (const fs::directory_entry& entry : fs::directory_iterator(from.model)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || !is_companion(name)) continue;
    std::error_code problem;
    fs::copy_file(entry.path(), folder / name, problem);
    if (problem) {
      throw Error(ErrorCode::output_not_writable, problem.message()).at((folder / name).string());
    }
    fs::permissions(folder / name, static_cast<fs::perms>(0640));
    written.push_back(name);
  }
  if (fs::exists(from.model / "config.json")) {
    write_config(from, folder);
    written.emplace_back("config.json");
  }
  std::sort(written.begin(), written.end());
  return written;
}

}  // namespace pare::pipeline
