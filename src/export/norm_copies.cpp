#include "export/norm_copies.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::export_ {
namespace {

constexpr std::string_view kInfix = "norm.module.";

}  // namespace

std::string norm_original(std::string_view tensor) {
  const std::size_t at = tensor.rfind(kInfix);
  if (at == std::string_view::npos) return "";
  const std::string_view part = tensor.substr(at + kInfix.size());
  if (part != "weight" && part != "bias") return "";
  return fmt::format("{}norm.{}", tensor.substr(0, at), part);
}

std::string norm_copy(std::string_view tensor) {
  const std::size_t dot = tensor.rfind('.');
  return fmt::format("{}.module{}", tensor.substr(0, dot), tensor.substr(dot));
}

void check_norm_copies(const formats::TensorSource& source) {
  for (const formats::TensorInfo& info : source.tensors()) {
    const std::string original = norm_original(info.name);
    if (original.empty()) continue;
    const formats::TensorInfo* first = source.find(original);
    const bool equal = first != nullptr && first->shape == info.shape &&
                       is_weight_float(info.dtype) && is_weight_float(first->dtype) &&
                       read_floats(source.read(original)) == read_floats(source.read(info.name));
    if (equal) continue;
    throw Error(ErrorCode::bad_description, fmt::format("{} is no copy of {}", info.name, original))
        .hint("readers take one or the other: quantize again, or make them equal");
  }
}

}  // namespace pare::export_
