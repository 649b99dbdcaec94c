// Rules about config.json, and about the model that it describes being there.
#include "check/rule_help.h"
#include "model/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace pare::check {
namespace {

constexpr std::array kFloatOnly = {kFloat};

void check_readable(const Subject& subject, Findings& findings) {
  const JsonFile& file = subject.folder.json("config.json");
  constexpr const char* kFix =
      "copy config.json of the float model and put the quantization_config in";
  if (!file.exists) return findings.fail("config.json", "it is not there", kFix);
  if (!file.problem.empty()) return findings.fail("config.json", file.problem, kFix);
  const io::Json* names = member(file.json, "architectures");
  if (!texts_of(names).empty()) return;
  findings.warn("config.json", "\"architectures\" names no class",
                "engines choose the model class by it: copy it from the float model");
}

std::string_view method_of(std::string_view layout) noexcept {
  return layout == kAwq ? "awq" : layout;
}

void check_method(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::string expected(method_of(folder.layout()));
  const std::string fix =
      fmt::format("set quantization_config.quant_method of config.json to \"{}\"", expected);
  if (folder.quantization_file() != "config.json") {
    findings.fail("config.json",
                  fmt::format("no quantization_config, though the weights are {}", expected),
                  fmt::format("add the quantization_config; {}", fix));
    return;
  }
  const io::Json* stated = member(folder.quantization(), "quant_method");
  if (text_of(stated) == expected) return;
  findings.fail(
      config_place(folder),
      fmt::format("quant_method is {}, the weights are {}", shown(stated), expected),
      stated == nullptr ? fix + ": without it loaders take the weights for float ones" : fix);
}

/// compressed-tensors may speak of the cache of keys and values alone.
bool quantizes_no_weights(const Folder& folder) {
  const io::Json* groups = member(folder.quantization(), "config_groups");
  const bool none = groups == nullptr || groups->empty();
  return none && member(folder.quantization(), "kv_cache_scheme") != nullptr;
}

void check_float(const Subject& subject, Findings& findings) {
  if (subject.folder.quantization().empty()) return;
  if (quantizes_no_weights(subject.folder)) return findings.note("it speaks of the cache alone");
  findings.fail(subject.folder.quantization_file(),
                "it speaks of a quantization, the weights are plain floats",
                "remove the quantization_config (or the file), or put the quantized weights here");
}

void check_one_label(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const bool hf = folder.quantization_file() == "config.json" && !folder.quant_method().empty();
  if (!hf || folder.descriptions().empty()) return;
  findings.fail("",
                fmt::format("config.json says quant_method \"{}\", and {} is there as well",
                            folder.quant_method(), folder.descriptions().front()),
                "keep the one that fits the weights: engines differ in which one counts");
}

/// "float16" for F16.
std::string_view torch_name(DType dtype) noexcept {
  if (dtype == DType::f16) return "float16";
  return dtype == DType::bf16 ? "bfloat16" : "float32";
}

/// Whether a tensor is no part of a quantized linear.
bool stands_alone(const Folder& folder, const std::string& tensor) {
  const std::string_view parent = parent_of(tensor);
  return parent.empty() || folder.linear(parent.substr(0, parent.size() - 1)) == nullptr;
}

void check_dtype(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::string stated = config_dtype(folder);
  if (stated.empty()) {
    findings.warn("config.json", "neither torch_dtype nor dtype is stated",
                  "add \"torch_dtype\": the type of the float tensors");
    return;
  }
  std::map<DType, std::size_t> bytes;
  for (const auto& [name, tensor] : folder.weights().tensors) {
    if (!is_weight_float(tensor.info.dtype) || tensor.info.shape.rank() < 2) continue;
    if (stands_alone(folder, name)) bytes[tensor.info.dtype] += tensor.end - tensor.begin;
  }
  if (bytes.empty()) return findings.not_looked_at("there is no float matrix");
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (torch_name(most->first) == stated) return;
  findings.warn(
      "config.json",
      fmt::format("torch_dtype is {}, the float tensors are {}", stated, torch_name(most->first)),
      "state the type that the model is to run in, and store the float tensors in it");
}

/// What is missing of the model, or has another shape than config.json says.
class ModelParts {
 public:
  ModelParts(const Folder& folder, Findings& findings) : folder_(folder), findings_(findings) {}

  void tensor(const std::string& name) {
    if (folder_.weights().find(name) != nullptr) return;
    findings_.fail(name, "the model needs it, and no weight file has it",
                   "the weights are incomplete: write or fetch them again");
  }

  void linear(const model::Module& of) {
    const std::string& module = of.name;
    const Linear* quantized = folder_.linear(module);
    const bool other_words = folder_.weights().find(module + ".weight_packed") != nullptr;
    if (quantized == nullptr) {
      if (!other_words) tensor(of.weight_name());  // words without rules are there all the same
    } else if (quantized->out > 0 && quantized->in > 0 &&
               (quantized->out != of.out() || quantized->in != of.in())) {
      findings_.fail(module,
                     fmt::format("it has {} outputs and {} inputs; config.json makes it {} and {}",
                                 quantized->out, quantized->in, of.out(), of.in()),
                     "config.json and the weights are of different models: take both from one");
    }
    if (!of.bias || folder_.weights().find(module + ".bias") != nullptr) return;
    if (folder_.weights().find(module + ".quant_bias") == nullptr) tensor(module + ".bias");
  }

 private:
  const Folder& folder_;
  Findings& findings_;
};

void check_model(const Subject& subject, Findings& findings) {
  const auto& graph = subject.folder.graph();
  ModelParts parts(subject.folder, findings);
  for (const model::Module& module : graph->modules) {
    const bool tied = module.source != module.weight_name();
    if (module.kind == model::ModuleKind::linear) {
      parts.linear(module);
    } else if (!tied && subject.folder.linear(module.name) == nullptr) {
      parts.tensor(module.weight_name());
    }
  }
}

/// Scales of a quantized cache of keys and values, which stand beside the attention's linears.
bool is_cache_scale(std::string_view tensor) noexcept {
  constexpr std::array<std::string_view, 7> kScales = {
      "k_scale", "v_scale", "kv_scale", "q_scale", "k_zero_point", "v_zero_point", "prob_scale"};
  return std::find(kScales.begin(), kScales.end(), last_name(tensor)) != kScales.end();
}

void check_leftovers(const Subject& subject, Findings& findings) {
  const auto& graph = subject.folder.graph();
  const model::ModuleIndex modules = model::index_modules(*graph);
  for (const auto& [name, tensor] : subject.folder.weights().tensors) {
    const std::string_view parent = parent_of(name);
    const bool known = !parent.empty() && modules.contains(parent.substr(0, parent.size() - 1));
    if (known || model::is_recomputed_buffer(name) || is_cache_scale(name)) continue;
    findings.warn(name, "the architecture has no such tensor",
                  "remove it, or fold what it does into its neighbours: some engines stop at names "
                  "they do not know, others leave them out silently");
  }
}

constexpr std::array kNamedLikeModels = {kFloat, kAwq, kGptq, kCt};
constexpr std::array kSafetensorsModels = {kFloat, kAwq, kGptq, kCt, kAscend, kAscendV1};

constexpr std::array kRules = {
    Rule{"config-readable",
         "config.json can be read and names the model class",
         kFolderLayouts,
         {},
         "transformers, AutoConfig; every engine opens it first",
         check_readable},
    Rule{"quant-method",
         "config.json names the method that the weights have",
         kHfLayouts,
         {},
         "transformers raises without it; vLLM takes the model for a float one",
         check_method,
         kConfig},
    Rule{"float-config",
         "config.json of a float model speaks of no quantization",
         kFloatOnly,
         {},
         "engines look for quantized tensors that are not there",
         check_float,
         kConfig},
    Rule{"one-label",
         "either config.json or a quant_model_description says how it is quantized",
         kFolderLayouts,
         {},
         "vllm-ascend: config.json must not have another quant_method",
         check_one_label,
         kConfig},
    Rule{"dtype-agrees",
         "the type in config.json is that of the float tensors",
         kSafetensorsModels,
         {},
         "engines run in the type that config.json states",
         check_dtype,
         kConfig | kTensors},
    Rule{"model-complete",
         "every tensor of the model is there, in the shape of config.json",
         kSafetensorsModels,
         {},
         "engines load by name; what is missing stays random",
         check_model,
         kGraph | kTensors},
    Rule{"no-unknown-tensors",
         "every tensor belongs to a module of the architecture",
         kNamedLikeModels,
         {},
         "vllm, load_weights: an unknown name is a KeyError",
         check_leftovers,
         kGraph | kTensors},
};

}  // namespace

extern const RuleFamily model_config_rules;
constinit const RuleFamily model_config_rules = {"model_config", kRules};

}  // namespace pare::check
