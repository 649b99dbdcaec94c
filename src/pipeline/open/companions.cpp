#include "pipeline/open/companions.h"

#include "io/lfs_pointer.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFile = std::size_t{128} << 20;
constexpr std::size_t kMostTogether = std::size_t{1} << 30;
constexpr std::size_t kNamesShown = 6;
constexpr int kMostLevels = 16;

constexpr std::string_view kTensors = "tensors in a container that is not read";

/// Links of these names are followed wherever they lead.
constexpr std::array<std::string_view, 15> kKnown = {"generation_config.json",
                                                     "tokenizer.json",
                                                     "tokenizer_config.json",
                                                     "special_tokens_map.json",
                                                     "added_tokens.json",
                                                     "vocab.json",
                                                     "merges.txt",
                                                     "tokenizer.model",
                                                     "spiece.model",
                                                     "chat_template.jinja",
                                                     "chat_template.json",
                                                     "preprocessor_config.json",
                                                     "processor_config.json",
                                                     "vocab.txt",
                                                     "sentencepiece.bpe.model"};

/// Containers of tensors, and what training leaves beside them.
constexpr std::array<std::string_view, 19> kTensorEndings = {
    ".bin",      ".pt",   ".pth",       ".ckpt",   ".gguf",   ".ggml", ".h5",
    ".msgpack",  ".npy",  ".npz",       ".pkl",    ".pickle", ".onnx", ".ot",
    ".pdparams", ".nemo", ".llamafile", ".tflite", ".distcp"};

/// Files of other programs, and Pare's own, that say how the source was quantized.
constexpr std::array<std::string_view, 4> kQuantization = {
    "quantize_config.json", "quant_config.json", "hf_quant_config.json", "recipe.yaml"};

template <typename List>
bool has(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_known(const std::string& name) {
  return has(kKnown, name) || name.ends_with(".tiktoken") || name.ends_with(".py") ||
         name.starts_with("LICENSE") || name.starts_with("NOTICE") ||
         name.starts_with("USE_POLICY");
}

bool holds_tensors(const std::string& name) {
  const std::string small = lower(name);
  const bool index = small.ends_with(".json") && small.find(".index.") != std::string::npos;
  return index || small.find(".onnx") != std::string::npos ||
         std::any_of(kTensorEndings.begin(), kTensorEndings.end(),
                     [&](std::string_view ending) { return small.ends_with(ending); });
}

/// What every run writes anew, or takes from these files, at the top of a folder.
bool is_of_the_run(const std::string& name) {
  return name == "config.json" || name == "report.json" || name == "pare_packed.json" ||
         name == "pare_dat.json" || name.ends_with(".safetensors.index.json") ||
         (name.starts_with("quant_model_description") && name.ends_with(".json"));
}

bool is_output_of_pare(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "pare_packed.json", ignored) ||
         fs::exists(folder / "pare_dat.json", ignored) ||
         (fs::exists(folder / "report.json", ignored) &&
          fs::exists(folder / "config.json", ignored));
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  const auto [end, differs] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

class Finder {
 public:
  Finder(const fs::path& model, std::span<const fs::path> weights) : model_(model) {
    std::error_code ignored;
    real_ = fs::canonical(model, ignored);
    for (const fs::path& file : weights)
      weights_.insert(file.filename().string());
    packed_ = fs::exists(model / "pare_packed.json", ignored);
  }

  Companions find() {
    look_into(model_, 0);
    std::sort(found_.copied.begin(), found_.copied.end());
    std::sort(found_.left_out.begin(), found_.left_out.end(),
              [](const LeftOut& a, const LeftOut& b) { return a.name < b.name; });
    return std::move(found_);
  }

 private:
  void leave(const fs::path& path, std::string because, bool missed = false) {
    std::string name = path.lexically_relative(model_).generic_string();
    if (fs::is_directory(fs::symlink_status(path))) name += '/';
    found_.left_out.push_back({std::move(name), std::move(because), missed});
  }

  /// In the order of names, so that what is left out for want of room does not depend on the disk.
  void look_into(const fs::path& folder, int level) {
    std::error_code error;
    std::set<fs::path> entries;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error))
      entries.insert(entry->path());
    if (error) return leave(folder, "not readable: " + error.message(), true);
    for (const fs::path& entry : entries)
      look_at(entry, level);
  }

  void look_at(const fs::path& path, int level) {
    const std::string name = path.filename().string();
    std::error_code error;
    const bool link = fs::is_symlink(fs::symlink_status(path, error));
    const fs::file_status status = fs::status(path, error);
    if (level == 0 && (is_of_the_run(name) || weights_.contains(name))) return;
    if (level == 0 && packed_ && name == "originals") return;
    if (name.starts_with('.')) return leave(path, "hidden");
    if (link && !fs::exists(status)) return leave(path, "a link that leads nowhere", true);
    if (!fs::is_directory(status)) return look_at_file(path, status, link, level);
    if (link) return leave(path, "a link to a folder");
    if (is_output_of_pare(path)) return leave(path, "an output of pare");
    if (level + 1 == kMostLevels) return leave(path, "nested too deeply");
    look_into(path, level + 1);
  }

  void look_at_file(const fs::path& path, const fs::file_status& status, bool link, int level) {
    const std::string name = path.filename().string();
    if (!fs::is_regular_file(status)) return leave(path, "no regular file");
    if (holds_tensors(name)) return leave(path, std::string(kTensors));
    if (level == 0 && name.ends_with(".safetensors"))
      return leave(path, "weights that were not read");
    if (level == 0 && has(kQuantization, name))
      return leave(path, "it says how the source was quantized");
    if (link && !is_known(name) && leads_elsewhere(path))
      return leave(path, "a link that leads out of the folder");
    const std::size_t bytes = fs::file_size(path);
    if (::access(path.c_str(), R_OK) != 0) return leave(path, "not readable", true);
    if (io::is_lfs_pointer_file(path))
      return leave(path, "a Git LFS pointer, not the file: git lfs pull", true);
    if (bytes > kMostFile) return leave(path, "larger than 128 MiB");
    if (bytes > kMostTogether - bytes_) return leave(path, "more than 1 GiB in all");
    bytes_ += bytes;
    found_.copied.push_back(path.lexically_relative(model_).generic_string());
  }

  /// A hub's cache keeps files in blobs/ and a folder of links to them in snapshots/REVISION/.
  bool leads_elsewhere(const fs::path& link) const {
    std::error_code error;
    const fs::path target = fs::canonical(link, error);
    if (error || is_inside(target, real_)) return static_cast<bool>(error);
    const fs::path snapshots = real_.parent_path();
    return snapshots.filename() != "snapshots" ||
           target.parent_path() != snapshots.parent_path() / "blobs";
  }

  fs::path model_;
  fs::path real_;
  std::set<std::string> weights_;
  bool packed_ = false;
  std::size_t bytes_ = 0;
  Companions found_;
};

/// "a, b, c and 4 more".
std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamesShown; ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamesShown) text += fmt::format(" and {} more", names.size() - kNamesShown);
  return text;
}

}  // namespace

Companions find_companions(const fs::path& model, std::span<const fs::path> weights) {
  std::error_code ignored;
  if (!fs::is_directory(model, ignored)) return {};
  return Finder(model, weights).find();
}

void warn_of_missed(const Context& ctx, const Companions& companions) {
  for (const LeftOut& left : companions.left_out) {
    if (left.is_missed)
      ctx.warning(fmt::format("{} does not come along: {}", left.name, left.because));
  }
}

std::vector<std::string> describe_companions(const Companions& companions) {
  std::vector<std::string> lines;
  const std::size_t count = companions.copied.size();
  if (count > 0) {
    lines.push_back(fmt::format("  copied     {} {} beside the weights: {}", count,
                                count == 1 ? "file" : "files", some_of(companions.copied)));
  }
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const LeftOut& left : companions.left_out)
    by_reason[left.because].push_back(left.name);
  for (const auto& [because, names] : by_reason)
    lines.push_back(fmt::format("  left out   {}: {}", some_of(names), because));
  return lines;
}

io::Json companions_json(const Companions& companions) {
  io::Json left_out = io::Json::array();
  for (const LeftOut& left : companions.left_out)
    left_out.push_back({{"name", left.name}, {"because", left.because}});
  return {{"copied", companions.copied}, {"left_out", left_out}};
}

}  // namespace pare::pipeline
