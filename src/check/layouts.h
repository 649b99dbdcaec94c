// The layouts that a folder may have. Tensors decide, because a configuration may be what is wrong.
#pragma once

#include <string_view>

namespace pare::check {

class Folder;

inline constexpr std::string_view kFloat = "float";
inline constexpr std::string_view kAwq = "autoawq";
inline constexpr std::string_view kGptq = "gptq";
inline constexpr std::string_view kCt = "compressed-tensors";
inline constexpr std::string_view kAscend = "ascend";
inline constexpr std::string_view kAscendV1 = "ascend-v1";
inline constexpr std::string_view kNpy = "npy";
inline constexpr std::string_view kGguf = "gguf";
inline constexpr std::string_view kPacked = "packed";
inline constexpr std::string_view kUnknown = "unknown";

std::string_view layout_of(const Folder& folder);

}  // namespace pare::check
