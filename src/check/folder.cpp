#include "check/folder.h"

#include "check/json_view.h"
#include "check/layouts.h"
#include "model/architecture.h"
#include "model/module_names.h"
#include "pare/error.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace pare::check {
namespace {

namespace fs = std::filesystem;

constexpr io::JsonLimits kLimits = {.max_bytes = std::size_t{256} << 20, .max_depth = 64};

JsonFile read_json_file(const fs::path& path) {
  JsonFile file;
  file.exists = true;
  try {
    file.json = io::read_json(path, kLimits);
    if (!file.json.is_object()) file.problem = "it holds no JSON object";
  } catch (const Error& error) {
    file.problem = error.detail();
  }
  if (!file.problem.empty()) file.json = io::Json::object();
  return file;
}

/// Sizes whose products fit: nothing computed from them overflows.
bool has_sane_sizes(const model::ModelConfig& config) noexcept {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  const model::AttentionConfig& a = config.attention;
  return a.heads < kMost && a.kv_heads < kMost && a.head_dim < kMost &&
         config.hidden_size < kMost && config.intermediate_size < kMost;
}

std::vector<std::string> find_float_linears(const Folder& folder) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<std::string> names;
  for (const auto& [name, tensor] : folder.weights().tensors) {
    if (!name.ends_with(kWeight) || tensor.info.shape.rank() != 2) continue;
    if (!is_weight_float(tensor.info.dtype)) continue;
    const std::string module = name.substr(0, name.size() - kWeight.size());
    if (!model::is_no_linear(module) && folder.linear(module) == nullptr) names.push_back(module);
  }
  return names;
}

}  // namespace

Folder::Folder(fs::path path) : path_(std::move(path)) {
  list_files();
  for (const std::string& name : files_) {
    if (name.starts_with("quant_model_description") && name.ends_with(".json"))
      descriptions_.push_back(name);
  }
  find_quantization();
  weights_ = read_weights(path_, files_);
  layout_ = layout_of(*this);
  if (layout_ == kOther || layout_ == kUnknown) recognised_ = weights_without_rules(*this);
  linears_ = find_linears(*this);
  float_linears_ = find_float_linears(*this);
  read_graph();
}

/// What is wrong with config.json is for the rules about it to say.
void Folder::read_graph() {
  try {
    model::ModelGraph graph = model::read_graph(path_);
    if (has_sane_sizes(graph.config))
      graph_ = std::move(graph);
    else
      graph_problem_ = "config.json states sizes that no model has";
  } catch (const Error& error) {
    const bool unknown = error.code() == ErrorCode::unknown_architecture;
    graph_problem_ = unknown ? "Pare does not know the architecture " + error.detail()
                             : "config.json describes no model that Pare knows: " + error.detail();
  }
}

void Folder::list_files() {
  std::error_code problem;
  if (!fs::exists(path_, problem)) throw Error(ErrorCode::file_not_found, path_.string());
  if (!fs::is_directory(path_, problem)) {
    throw Error(ErrorCode::file_not_found, "not a folder: " + path_.string())
        .hint("give the folder that holds config.json and the weights");
  }
  fs::directory_iterator entry(path_, problem);
  for (; !problem && entry != fs::directory_iterator(); entry.increment(problem)) {
    std::error_code unreadable;
    if (entry->is_regular_file(unreadable)) files_.insert(entry->path().filename().string());
  }
  if (problem) throw Error(ErrorCode::file_io, problem.message()).at(path_.string());
}

void Folder::find_quantization() {
  for (const char* key : {"quantization_config", "compression_config"}) {
    const io::Json* found = member(config(), key);
    if (found == nullptr || !found->is_object()) continue;
    quantization_ = *found;
    quantization_file_ = "config.json";
    return;
  }
  for (const char* file : {"quantize_config.json", "quant_config.json"}) {
    if (!has(file)) continue;
    quantization_ = json(file).json;
    quantization_file_ = file;
    return;
  }
}

bool Folder::has(std::string_view file) const { return files_.contains(std::string(file)); }

const JsonFile& Folder::json(const std::string& file) const {
  const auto found = json_.find(file);
  if (found != json_.end()) return found->second;
  return json_.emplace(file, has(file) ? read_json_file(path_ / file) : JsonFile{}).first->second;
}

std::string Folder::quant_method() const {
  return lower_case(text_of(member(quantization_, "quant_method", "method")).value_or(""));
}

const io::Json& Folder::description() const {
  return json(descriptions_.empty() ? "quant_model_description.json" : descriptions_.front()).json;
}

TensorView Folder::view(const StoredTensor& tensor) const {
  const std::span<const std::byte> bytes = tensor.file->bytes->bytes();
  return {tensor.info.dtype, tensor.info.shape,
          bytes.subspan(tensor.begin, tensor.end - tensor.begin)};
}

void Folder::release(const StoredTensor& tensor) const noexcept {
  tensor.file->bytes->release(tensor.begin, tensor.end - tensor.begin);
}

const Linear* Folder::linear(std::string_view name) const {
  const auto found =
      std::lower_bound(linears_.begin(), linears_.end(), name,
                       [](const Linear& linear, std::string_view n) { return linear.name < n; });
  return found != linears_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace pare::check
