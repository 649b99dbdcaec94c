// The layouts that a folder may have. Tensors decide, because a configuration may be what is wrong.
#pragma once

#include <string>
#include <string_view>

namespace pare::check {

class Folder;
struct Weights;

inline constexpr std::string_view kFloat = "float";
inline constexpr std::string_view kAwq = "autoawq";
inline constexpr std::string_view kGptq = "gptq";
inline constexpr std::string_view kCt = "compressed-tensors";
inline constexpr std::string_view kAscend = "ascend";
inline constexpr std::string_view kAscendV1 = "ascend-v1";
inline constexpr std::string_view kNpy = "npy";
inline constexpr std::string_view kGguf = "gguf";
inline constexpr std::string_view kPacked = "packed";
/// Safetensors of a quantization that Pare has no rules for.
inline constexpr std::string_view kOther = "other";
/// No weights, or in files that Pare has no rules for.
inline constexpr std::string_view kUnknown = "unknown";

std::string_view layout_of(const Folder& folder);

/// What weights without rules seem to be, for people: "bitsandbytes (quant_method
/// \"bitsandbytes\")", "MLX (bits 4, group_size 64)", "pytorch_model.bin, which is no safetensors
/// file"; "" when there are rules, or no weights.
std::string weights_without_rules(const Folder& folder);
/// The same of folders with safetensors, by what the configuration states, and by the tensors.
std::string stated_without_rules(const Folder& folder);
std::string tensors_without_rules(const Folder& folder);

/// Whether the words of AWQ or GPTQ files fit the scales as they do in the gemm layout of AWQ.
bool has_gemm_words(const Weights& weights);

}  // namespace pare::check
