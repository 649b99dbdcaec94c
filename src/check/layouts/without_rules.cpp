// Weights that Pare has no rules for, told by what the configuration states and by their tensors.
// They may be as right as any: all there is to say is what they seem to be.
#include "check/json_view.h"
#include "check/layouts.h"
#include "check/layouts/ct_groups.h"
#include "check/layouts/gptq_zeros.h"
#include "layouts/foreign_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace pare::check {
namespace {

/// Keys that tell varieties of a method apart, as many as a line takes.
std::string telling_keys(const io::Json& settings) {
  constexpr std::array<std::string_view, 14> kTelling = {
      "packing_format",      "format",     "version",
      "quant_algo",          "quant_type", "fmt",
      "bnb_4bit_quant_type", "bits",       "nbits",
      "load_in_8bit",        "mode",       "weight_block_size",
      "group_size",          "head_bits"};
  constexpr std::size_t kMost = 3;
  std::vector<std::string> told;
  for (const std::string_view key : kTelling) {
    const io::Json* value = member(settings, key);
    if (value != nullptr && told.size() < kMost)
      told.push_back(fmt::format("{} {}", key, shown(value)));
  }
  return told.empty() ? "" : fmt::format(" ({})", fmt::join(told, ", "));
}

/// Folders without config.json that are told by another file.
std::string told_by_file(const Folder& folder) {
  if (folder.has("config.json")) return "";
  if (folder.has("adapter_config.json")) return "an adapter of another model (adapter_config.json)";
  return folder.has("params.json") ? "a model in Mistral's own format (params.json)" : "";
}

/// MLX writes its settings under a key of its own, ModelOpt into a file of its own.
std::string stated_elsewhere(const Folder& folder) {
  const std::string told = told_by_file(folder);
  if (!told.empty()) return told;
  const io::Json* mlx = member(folder.config(), "quantization");
  if (mlx != nullptr && mlx->is_object()) return "MLX" + telling_keys(*mlx);
  const io::Json* modelopt = member(folder.json("hf_quant_config.json").json, "quantization");
  if (modelopt != nullptr && modelopt->is_object()) return "ModelOpt" + telling_keys(*modelopt);
  return "";
}

std::string awq_variety(const Folder& folder) {
  const auto version = text_of(member(folder.quantization(), "version"));
  if (!version || lower_case(*version) == "gemm" || has_gemm_words(folder.weights())) return "";
  return fmt::format("AWQ of version \"{}\"", *version);
}

std::string gptq_variety(const Folder& folder) {
  const std::string format = stated_gptq_format(folder);
  if (format == "gptq" || format == "gptq_v2") return "";
  return fmt::format("GPTQ with checkpoint_format \"{}\"", format);
}

bool ends_any(const Weights& weights, std::string_view suffix) {
  return std::any_of(weights.tensors.begin(), weights.tensors.end(),
                     [&](const auto& entry) { return entry.first.ends_with(suffix); });
}

std::string ct_variety(const Folder& folder) {
  const Weights& weights = folder.weights();
  const bool ours = std::any_of(weights.tensors.begin(), weights.tensors.end(), [](const auto& e) {
    const auto& [name, tensor] = e;
    if (name.ends_with(".weight_packed")) return tensor.info.dtype == DType::i32;
    return name.ends_with(".weight") && tensor.info.dtype == DType::i8;
  });
  if (ours && !ends_any(weights, ".meta")) return "";
  const std::set<std::string> foreign = ct_formats_without_rules(folder);
  if (!foreign.empty())
    return fmt::format("compressed-tensors of format {}", fmt::join(foreign, ", "));
  return ours || !ends_any(weights, ".weight_scale")
             ? ""
             : fmt::format("compressed-tensors of format {} without packed words or int8 codes",
                           shown(member(folder.quantization(), "format")));
}

/// Files of weights that are no safetensors, GGUF or npy.
bool holds_other_weights(const std::string& file) {
  constexpr std::array<std::string_view, 7> kEndings = {".bin", ".pt",      ".pth", ".ckpt",
                                                        ".h5",  ".msgpack", ".onnx"};
  constexpr std::array<std::string_view, 4> kOfTraining = {"training_args", "optimizer",
                                                           "scheduler", "rng_state"};
  const auto begins = [&](std::string_view word) { return file.starts_with(word); };
  const auto ends = [&](std::string_view word) { return file.ends_with(word); };
  return std::any_of(kEndings.begin(), kEndings.end(), ends) &&
         std::none_of(kOfTraining.begin(), kOfTraining.end(), begins);
}

}  // namespace

std::string stated_without_rules(const Folder& folder) {
  const std::string method = folder.quant_method();
  if (method.empty()) return stated_elsewhere(folder);
  if (method == "awq") return awq_variety(folder);
  if (method == "gptq") return gptq_variety(folder);
  if (method == "compressed-tensors") return ct_variety(folder);
  if (method == "ascend") return "";
  return fmt::format("quant_method \"{}\"{}", method, telling_keys(folder.quantization()));
}

std::string tensors_without_rules(const Folder& folder) {
  const Weights& weights = folder.weights();
  for (const WeightFile& file : weights.files) {
    if (file.unsupported && weights.tensors.empty()) return file.problem;
  }
  std::vector<containers::TensorInfo> tensors;
  for (const auto& [name, tensor] : weights.tensors)
    tensors.push_back(tensor.info);
  return layout::foreign_weights(tensors);
}

std::string weights_without_rules(const Folder& folder) {
  const std::string stated = stated_without_rules(folder);
  if (!folder.weights().files.empty())
    return stated.empty() ? tensors_without_rules(folder) : stated;
  const auto file = std::find_if(folder.files().begin(), folder.files().end(), holds_other_weights);
  if (file == folder.files().end()) return "";
  return fmt::format("{}{}weights in {}", stated, stated.empty() ? "" : ": ", *file);
}

}  // namespace pare::check
