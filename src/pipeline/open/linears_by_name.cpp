#include "pipeline/open/linears_by_name.h"

#include "model/module_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace pare::pipeline {
namespace {

using model::Site;

std::optional<Site> fused_site(std::string_view module) {
  const std::string_view last = model::last_name(module);
  for (const auto& [names, site] : model::fused_sets()) {
    if (std::find(names.begin(), names.end(), last) != names.end()) return site;
  }
  return std::nullopt;
}

/// 3 for "model.layers.3.mlp.up_proj".
std::int64_t block_number(std::string_view module) {
  const auto found = model::in_block(module);
  if (!found.has_value()) return model::kNoBlock;
  std::string_view block = found->block;
  block.remove_suffix(1);
  const std::string_view digits = model::last_name(block);
  std::int64_t number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return read.ec == std::errc{} ? number : model::kNoBlock;
}

/// Whether a module, or one that it is part of, is an embedding, a norm and the like.
bool belongs_to_no_linear(std::string_view module) {
  while (!module.empty()) {
    const std::string_view part = module.substr(0, module.find('.'));
    if (model::is_no_linear(part)) return true;
    module.remove_prefix(std::min(module.size(), part.size() + 1));
  }
  return false;
}

bool is_linear_weight(const containers::TensorInfo& info) {
  return info.shape.rank() == 2 && info.shape.numel() > 0 && is_weight_float(info.dtype) &&
         info.name.ends_with(".weight") && !belongs_to_no_linear(model::module_of(info.name));
}

model::Module linear_of(const containers::TensorInfo& info) {
  model::Module linear;
  linear.name = model::module_of(info.name);
  linear.kind = model::is_head(linear.name) ? model::ModuleKind::head : model::ModuleKind::linear;
  linear.block = block_number(linear.name);
  linear.shape = info.shape;
  linear.row_parallel = model::is_row_parallel(linear.name);
  linear.site = fused_site(linear.name);
  linear.source = info.name;
  return linear;
}

}  // namespace

std::vector<model::Module> linears_by_name(const containers::TensorSource& source) {
  std::vector<model::Module> linears;
  for (const containers::TensorInfo& info : source.tensors()) {
    if (is_linear_weight(info)) linears.push_back(linear_of(info));
  }
  const auto order = [](const model::Module& linear) {
    return std::pair{linear.kind == model::ModuleKind::head ? 1 : 0, linear.block};
  };
  std::stable_sort(
      linears.begin(), linears.end(),
      [&](const model::Module& a, const model::Module& b) { return order(a) < order(b); });
  return linears;
}

}  // namespace pare::pipeline
