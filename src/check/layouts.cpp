#include "check/layouts.h"

#include "check/folder.h"

#include <algorithm>
#include <array>
#include <string>

namespace pare::check {
namespace {

bool any_tensor(const Weights& weights, std::string_view suffix) {
  return std::any_of(weights.tensors.begin(), weights.tensors.end(),
                     [&](const auto& entry) { return entry.first.ends_with(suffix); });
}

/// AWQ packs outputs, GPTQ inputs: the width of the words against that of the scales tells them
/// apart. "" when a tensor is missing or fits neither.
std::string_view awq_or_gptq(const Weights& weights, const std::string& module) {
  if (weights.find(module + ".g_idx") != nullptr) return kGptq;
  const StoredTensor* words = weights.find(module + ".qweight");
  const StoredTensor* scales = weights.find(module + ".scales");
  if (words == nullptr || scales == nullptr) return "";
  if (words->info.shape.rank() != 2 || scales->info.shape.rank() != 2) return "";
  const std::int64_t width = words->info.shape[1];
  if (width == scales->info.shape[1]) return kGptq;
  return width <= scales->info.shape[1] && width * 8 == scales->info.shape[1] ? kAwq : "";
}

std::string_view stated(const Folder& folder) {
  const std::string method = folder.quant_method();
  if (method == "awq") return kAwq;
  if (method == "gptq") return kGptq;
  if (method == "compressed-tensors") return kCt;
  return "";
}

std::string_view layout_of_words(const Folder& folder) {
  constexpr std::string_view kWords = ".qweight";
  for (const auto& [name, tensor] : folder.weights().tensors) {
    if (!name.ends_with(kWords)) continue;
    const std::string module = name.substr(0, name.size() - kWords.size());
    const std::string_view found = awq_or_gptq(folder.weights(), module);
    if (!found.empty()) return found;
  }
  const std::string_view said = stated(folder);
  return said.empty() ? kGptq : said;
}

std::string_view ascend_layout(const Folder& folder) {
  return folder.has("quant_model_description.json") ? kAscendV1 : kAscend;
}

/// Int8 codes beside scales of their own, as bitsandbytes has them, are none of this layout.
bool has_int8_linears(const Weights& weights) {
  if (any_tensor(weights, ".SCB")) return false;
  return std::any_of(weights.tensors.begin(), weights.tensors.end(), [](const auto& entry) {
    return entry.second.info.dtype == DType::i8 && entry.first.ends_with(".weight");
  });
}

/// Bytes beside scales for the whole tensor are NVFP4's.
bool has_packed_words(const Weights& weights) {
  const bool words = std::any_of(weights.tensors.begin(), weights.tensors.end(), [](const auto& e) {
    return e.first.ends_with(".weight_packed") && e.second.info.dtype == DType::i32;
  });
  return words ||
         (any_tensor(weights, ".weight_packed") && !any_tensor(weights, ".weight_global_scale"));
}

bool named_like_ascend(const Folder& folder) {
  return std::any_of(folder.files().begin(), folder.files().end(), [](const std::string& name) {
    return name.starts_with("quant_model_weight") && name.ends_with(".safetensors");
  });
}

bool is_packed(const Weights& weights) {
  return std::any_of(weights.files.begin(), weights.files.end(),
                     [](const WeightFile& file) { return file.packed; });
}

/// By what tensors there are; "" when they say nothing.
std::string_view layout_of_tensors(const Folder& folder) {
  const Weights& weights = folder.weights();
  if (any_tensor(weights, ".qweight")) return layout_of_words(folder);
  if (has_packed_words(weights)) return kCt;
  if (folder.has("quant_weight.npy") || folder.has("quant_weight.npy.safetensors")) return kNpy;
  if (!folder.descriptions().empty() || named_like_ascend(folder)) return ascend_layout(folder);
  return has_int8_linears(weights) ? kCt : "";
}

std::string_view layout_without_safetensors(const Folder& folder) {
  const bool gguf = std::any_of(folder.files().begin(), folder.files().end(),
                                [](const std::string& name) { return name.ends_with(".gguf"); });
  if (gguf) return kGguf;
  if (!weights_without_rules(folder).empty()) return kUnknown;
  return stated(folder).empty() ? kUnknown : stated(folder);
}

}  // namespace

bool has_gemm_words(const Weights& weights) {
  constexpr std::string_view kWords = ".qweight";
  return std::any_of(weights.tensors.begin(), weights.tensors.end(), [&](const auto& entry) {
    const auto& [name, tensor] = entry;
    if (!name.ends_with(kWords) || tensor.info.dtype != DType::i32) return false;
    return awq_or_gptq(weights, name.substr(0, name.size() - kWords.size())) == kAwq;
  });
}

std::string_view layout_of(const Folder& folder) {
  const Weights& weights = folder.weights();
  if (is_packed(weights)) return kPacked;
  const bool ascend = !folder.descriptions().empty() || named_like_ascend(folder);
  if (!ascend && !weights.files.empty() && !stated_without_rules(folder).empty()) return kOther;
  const std::string_view found = layout_of_tensors(folder);
  if (!found.empty()) return found;
  if (weights.files.empty()) return layout_without_safetensors(folder);
  if (!tensors_without_rules(folder).empty()) return kOther;
  // Readable float weights contradict what is stated; without any, the statement is all there is.
  if (weights.tensors.empty() && !stated(folder).empty()) return stated(folder);
  return kFloat;
}

}  // namespace pare::check
