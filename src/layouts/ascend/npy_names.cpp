#include "layouts/ascend/npy_names.h"

namespace pare::layout {
namespace {

/// "<anything>.fa_<anything>word<anything>", as msModelSlim's pattern `*.fa_*scale*` says.
bool is_attention_quant(std::string_view name, std::string_view word) noexcept {
  const std::size_t at = name.find(".fa_");
  return at != std::string_view::npos && name.find(word, at + 4) != std::string_view::npos;
}

/// Files whose keys are full names.
std::optional<NpyFile> whole_name_file(std::string_view name) noexcept {
  if (is_attention_quant(name, "scale")) return NpyFile::fa_quant_scale;
  if (is_attention_quant(name, "offset")) return NpyFile::fa_quant_offset;
  if (name.ends_with("norm.weight") || name.ends_with("norm.bias")) return NpyFile::anti_fp_norm;
  if (name.ends_with(".kv_cache_scale")) return NpyFile::kv_cache_scale;
  if (name.ends_with(".kv_cache_offset")) return NpyFile::kv_cache_offset;
  return std::nullopt;
}

std::optional<NpyFile> file_of(Part part) noexcept {
  switch (part) {
    case Part::weight:
    case Part::bias:
      return NpyFile::quant_weight;
    case Part::weight_scale_second:
    case Part::weight_offset_second:
    case Part::scale_bias:
    case Part::weight_power:
      break;
    case Part::weight_scale:
      return NpyFile::weight_scale;
    case Part::weight_offset:
      return NpyFile::weight_offset;
    case Part::input_scale:
      return NpyFile::input_scale;
    case Part::input_offset:
      return NpyFile::input_offset;
    case Part::quant_bias:
      return NpyFile::quant_bias;
    case Part::deq_scale:
      return NpyFile::deq_scale;
  }
  return std::nullopt;
}

std::optional<NpyPlace> place_of_part(std::string_view module, Part part) {
  const std::optional<NpyFile> file = file_of(part);
  if (!file.has_value()) return std::nullopt;
  if (part == Part::bias) return NpyPlace{*file, tensor_name(module, part)};
  return NpyPlace{*file, std::string(module)};
}

}  // namespace

std::optional<NpyPlace> npy_place(const DeclaredTensor& tensor) {
  const std::string& name = tensor.info.name;
  std::optional<NpyPlace> place;
  if (!tensor.module.empty()) {
    place = place_of_part(tensor.module, tensor.part);
  } else if (const auto whole = whole_name_file(name); whole.has_value()) {
    place = NpyPlace{*whole, name};
  } else if (const auto split = split_part_name(name); split.has_value()) {
    const bool plain = split->part == Part::weight || split->part == Part::bias;
    if (plain) place = place_of_part(split->module, split->part);
  }
  if (place.has_value() && full_name(place->file, place->key) != name) return std::nullopt;
  return place;
}

std::string full_name(NpyFile file, std::string_view key) {
  if (file >= NpyFile::kv_cache_scale) return std::string(key);
  if (file != NpyFile::quant_weight) {
    return std::string(key) + "." + std::string(kNpyFileNames[static_cast<std::size_t>(file)]);
  }
  return key.ends_with(".bias") ? std::string(key) : tensor_name(key, Part::weight);
}

}  // namespace pare::layout
