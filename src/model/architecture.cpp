#include "model/architecture.h"

#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace pare::model {

#define PARE_ARCH(name) extern const Architecture arch_##name;
#include "model/archs.def"
#undef PARE_ARCH

namespace {

constexpr std::array kArchitectures = {
#define PARE_ARCH(name) &arch_##name,
#include "model/archs.def"
#undef PARE_ARCH
};

/// Letters' case aside: early LLaMA checkpoints say LLaMAForCausalLM.
bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

bool answers_to_class(const Architecture& arch, const std::vector<std::string>& classes) {
  return std::any_of(classes.begin(), classes.end(), [&](const std::string& name) {
    return std::any_of(arch.class_names.begin(), arch.class_names.end(),
                       [&](std::string_view known) { return same_name(known, name); });
  });
}

[[noreturn]] void fail_unknown(const ConfigReader& config) {
  const Architecture* of_type = find_architecture(config.text("model_type", ""));
  if (of_type != nullptr) {
    throw Error(ErrorCode::unknown_architecture, architecture_label(config))
        .at(config.where())
        .hint(fmt::format("of model_type {} the class {} is known; weight-only schemes (w8a16, "
                          "w4a16, w8a8-dynamic) work without knowing the class",
                          of_type->id, fmt::join(of_type->class_names, ", ")));
  }
  std::vector<std::string> known;
  for (const Architecture* arch : kArchitectures)
    known.emplace_back(arch->id);
  throw Error(ErrorCode::unknown_architecture, architecture_label(config))
      .at(config.where())
      .hint(fmt::format("known: {}; weight-only schemes (w8a16, w4a16, w8a8-dynamic) work without "
                        "knowing the architecture",
                        fmt::join(known, ", ")));
}

}  // namespace

std::span<const Architecture* const> architectures() noexcept { return kArchitectures; }

std::string architecture_label(const ConfigReader& config) {
  const std::vector<std::string> classes = config.texts("architectures");
  return fmt::format("{} (model_type {})", classes.empty() ? "no class name" : classes.front(),
                     config.text("model_type", "not given"));
}

const Architecture* find_architecture(const ConfigReader& config) {
  const std::string type = config.text("model_type", "");
  const std::vector<std::string> classes = config.texts("architectures");
  if (const Architecture* of_type = find_architecture(type); of_type != nullptr) {
    return classes.empty() || answers_to_class(*of_type, classes) ? of_type : nullptr;
  }
  if (!type.empty()) return nullptr;
  for (const Architecture* arch : kArchitectures) {
    if (answers_to_class(*arch, classes)) return arch;
  }
  return nullptr;
}

namespace {

/// Subfolders with a config.json, sorted: a run that writes several formats makes one for each.
std::vector<std::string> models_below(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
    if (std::filesystem::exists(entry.path() / "config.json", unreadable)) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

void refuse_folder_of_models(const std::filesystem::path& folder) {
  std::error_code unreadable;
  if (std::filesystem::exists(folder / "config.json", unreadable)) return;
  const std::vector<std::string> names = models_below(folder);
  if (names.empty()) return;
  throw Error(ErrorCode::file_not_found, "no config.json: models lie in subfolders")
      .at(folder.string())
      .hint(fmt::format("name one of {}", fmt::join(names, ", ")));
}

}  // namespace

const Architecture* find_architecture(std::string_view id) noexcept {
  for (const Architecture* arch : kArchitectures) {
    if (arch->id == id) return arch;
  }
  return nullptr;
}

io::Json read_config(const std::filesystem::path& folder) {
  refuse_folder_of_models(folder);
  const std::filesystem::path file = folder / "config.json";
  io::Json json = io::read_json(file);
  if (json.is_object()) return json;
  throw Error(ErrorCode::bad_config, "the document is not an object").at(file.string());
}

ModelGraph read_graph(const std::filesystem::path& folder) {
  const io::Json json = read_config(folder);
  const ConfigReader config(json, (folder / "config.json").string());
  const Architecture* arch = find_architecture(config);
  if (arch == nullptr) fail_unknown(config);
  ModelGraph graph = arch->read(config);
  graph.config.architecture = arch->id;
  const std::vector<std::string> classes = config.texts("architectures");
  graph.config.class_name = classes.empty() ? std::string(arch->id) : classes.front();
  return graph;
}

bool is_recomputed_buffer(std::string_view name) noexcept {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with("rotary_pos_emb.inv_freq") ||
         name.ends_with(".attention.masked_bias") || name.ends_with(".future_mask");
}

namespace {

/// Checks tensors one by one and remembers which were asked for.
class TensorChecker {
 public:
  explicit TensorChecker(const containers::TensorSource& source) : source_(source) {}

  void need(const std::string& name, const Shape& shape) {
    const containers::TensorInfo* info = source_.find(name);
    if (info == nullptr) fail_missing(name, shape);
    seen_.insert(name);
    if (info->shape != shape) {
      throw Error(ErrorCode::tensor_mismatch, fmt::format("{} is {}, config.json says {}", name,
                                                          info->shape.text(), shape.text()))
          .at(source_.file_of(name))
          .hint("config.json and the weights are not of the same model");
    }
    if (!is_weight_float(info->dtype)) {
      throw Error(ErrorCode::tensor_mismatch, fmt::format("{} holds {}; F32, F16 or BF16 is needed",
                                                          name, name_of(info->dtype)))
          .at(source_.file_of(name))
          .hint("this checkpoint seems to be quantized already; start from the float one");
    }
  }

  void need_weight(const Module& module, const Shape& shape) {
    need(module.source, shape);
    const std::string bias = module_of(module.source) + ".bias";
    if (module.bias) need(bias, Shape{shape[0]});
  }

  /// A norm may have a bias, which no config speaks of: smoothing leaves one.
  void need_norm(const Module& module) {
    need(module.source, module.shape);
    if (source_.find(module.bias_name()) != nullptr) need(module.bias_name(), module.shape);
  }

  /// A tied head is the embedding; a copy of it is let pass.
  void need_head(const Module& head) {
    need(head.source, head.shape);
    if (source_.find(head.weight_name()) != nullptr) need(head.weight_name(), head.shape);
  }

  void refuse_leftovers() const {
    std::vector<std::string> left;
    for (const containers::TensorInfo& info : source_.tensors()) {
      if (!seen_.contains(info.name) && !is_recomputed_buffer(info.name)) left.push_back(info.name);
    }
    if (left.empty()) return;
    const std::size_t count = left.size();
    left.resize(std::min<std::size_t>(count, 4));
    throw Error(ErrorCode::bad_config,
                fmt::format("{} tensors have no place in the model that config.json describes: "
                            "{}{}",
                            count, fmt::join(left, ", "), count > 4 ? ", …" : ""))
        .hint("check num_hidden_layers, the bias flags and model_type");
  }

 private:
  [[noreturn]] void fail_missing(const std::string& name, const Shape& shape) const {
    std::vector<std::string> known;
    for (const containers::TensorInfo& info : source_.tensors())
      known.push_back(info.name);
    const std::string near = closest_match(name, known);
    throw Error(ErrorCode::tensor_missing, fmt::format("{} {}", name, shape.text()))
        .hint(near.empty() ? "config.json describes a tensor that no weight file holds"
                           : fmt::format("the nearest name in the files is {}", near));
  }

  const containers::TensorSource& source_;
  std::set<std::string> seen_;
};

/// Rows of each tensor that linears come from: more than their own where a checkpoint fuses them.
std::map<std::string, std::int64_t> rows_of_sources(const ModelGraph& graph) {
  std::map<std::string, std::int64_t> rows;
  for (const Module& module : graph.modules) {
    std::int64_t& count = rows[module.source];
    count = std::max(count, module.first_row + module.out());
  }
  return rows;
}

}  // namespace

void check_tensors(const ModelGraph& graph, const containers::TensorSource& source) {
  TensorChecker checker(source);
  const std::map<std::string, std::int64_t> rows = rows_of_sources(graph);
  for (const Module& module : graph.modules) {
    switch (module.kind) {
      case ModuleKind::linear:
        checker.need_weight(module, Shape{rows.at(module.source), module.in()});
        break;
      case ModuleKind::norm:
        checker.need_norm(module);
        break;
      case ModuleKind::head:
        checker.need_head(module);
        break;
      case ModuleKind::embedding:
      case ModuleKind::head_norm:
        checker.need(module.source, module.shape);
        break;
    }
  }
  checker.refuse_leftovers();
}

}  // namespace pare::model
