// Which of the npy files a tensor goes to, under which key, and what its full name was.
#pragma once

#include "layouts/ascend/parts.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pare::layout {

enum class NpyFile : std::uint8_t {
  quant_weight,
  input_scale,
  input_offset,
  quant_bias,
  deq_scale,
  weight_scale,
  weight_offset,
  kv_cache_scale,
  kv_cache_offset,
  fa_quant_scale,
  fa_quant_offset,
  anti_fp_norm
};
inline constexpr std::size_t kNpyFileCount = 12;
/// Base names, in the order of the enumeration: "quant_weight" is quant_weight.npy.
inline constexpr std::array<std::string_view, kNpyFileCount> kNpyFileNames = {
    "quant_weight",    "input_scale",    "input_offset",    "quant_bias",
    "deq_scale",       "weight_scale",   "weight_offset",   "kv_cache_scale",
    "kv_cache_offset", "fa_quant_scale", "fa_quant_offset", "anti_fp_norm"};

struct NpyPlace {
  NpyFile file = NpyFile::quant_weight;
  std::string key;
};

/// Parts of quantized linears go by what they are, float tensors by their name.
/// Deviation: biases keep ".bias" in their key; without it they would replace the weight.
/// nullopt when the layout has no place from which the name could be told again.
std::optional<NpyPlace> npy_place(const DeclaredTensor& tensor);

/// The full name of a key of a file: the other direction of npy_place.
std::string full_name(NpyFile file, std::string_view key);

}  // namespace pare::layout
