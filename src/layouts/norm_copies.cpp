#include "layouts/norm_copies.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::layout {
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

std::vector<std::string> folded_norms(const containers::TensorSource& source) {
  std::vector<std::string> folded;
  for (const containers::TensorInfo& info : source.tensors()) {
    const std::string original = norm_original(info.name);
    if (original.empty()) continue;
    const containers::TensorInfo* first = source.find(original);
    const bool alike =
        is_weight_float(info.dtype) &&
        (first == nullptr || (first->shape == info.shape && first->dtype == info.dtype));
    if (!alike) {
      throw Error(ErrorCode::bad_description,
                  fmt::format("{} and {} differ in type or shape", info.name, original))
          .hint("one is the smoothed copy of the other: quantize again");
    }
    const bool same = first != nullptr &&
                      read_floats(source.read(original)) == read_floats(source.read(info.name));
    if (!same) folded.push_back(info.name);
  }
  return folded;
}

}  // namespace pare::layout
