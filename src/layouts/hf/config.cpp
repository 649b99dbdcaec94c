#include "layouts/hf/config.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr io::JsonLimits kLimits = {.max_bytes = std::size_t{64} << 20, .max_depth = 32};

bool is_embedding(std::string_view module) {
  constexpr std::array<std::string_view, 4> kWords = {"embed", "wte", "wpe", "rotary"};
  const std::string_view last = module.substr(module.rfind('.') + 1);
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
    return last.find(word) != std::string_view::npos;
  });
}

}  // namespace

std::vector<std::string> float_linears(const OutputPlan& plan) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<std::string> names;
  bool quantized_head = false;
  for (const OutputEntry& entry : plan.entries) {
    if (entry.linear.has_value())
      quantized_head = quantized_head || entry.linear->name == "lm_head";
    if (entry.linear.has_value() || entry.tensor.shape.rank() != 2) continue;
    const std::string& tensor = entry.tensor.name;
    if (!tensor.ends_with(kWeight)) continue;
    const std::string module = tensor.substr(0, tensor.size() - kWeight.size());
    if (!is_embedding(module)) names.push_back(module);
  }
  // A tied head is a linear of the model without a tensor of its own.
  const bool named = std::find(names.begin(), names.end(), "lm_head") != names.end();
  if (!named && !quantized_head) names.emplace_back("lm_head");
  return names;
}

void patch_dtype(io::Json& patch, const OutputPlan& plan, std::string_view dtype) {
  std::error_code unreadable;
  const fs::path file = plan.source / "config.json";
  bool found = false;
  if (!plan.source.empty() && fs::exists(file, unreadable)) {
    const io::Json config = io::read_json(file, kLimits);
    for (const char* key : {"torch_dtype", "dtype"}) {
      if (!config.is_object() || !config.contains(key)) continue;
      patch[key] = dtype;
      found = true;
    }
  }
  if (!found) patch["torch_dtype"] = dtype;
}

const quant::LinearHeader* first_linear(const OutputPlan& plan) noexcept {
  for (const OutputEntry& entry : plan.entries) {
    if (entry.linear.has_value()) return &*entry.linear;
  }
  return nullptr;
}

std::string refuse_mixed(const OutputPlan& plan) {
  const quant::LinearHeader* first = first_linear(plan);
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value() || entry.linear->scheme == first->scheme) continue;
    return fmt::format(
        "{} is {} and {} is {}: the format has one scheme for all linears; choose --format "
        "compressed-tensors",
        first->name, first->scheme.text(), entry.linear->name, entry.linear->scheme.text());
  }
  return "";
}

std::string refuse_without_config(const OutputPlan& plan) {
  std::error_code unreadable;
  if (plan.source.empty() || fs::exists(plan.source / "config.json", unreadable)) return "";
  return "the format is told by config.json, and the model has none; add the model's config.json, "
         "or choose --format ascend-v1";
}

std::string refuse_name_overlap(const OutputPlan& plan) {
  for (const std::string& kept : float_linears(plan)) {
    for (const OutputEntry& entry : plan.entries) {
      if (!entry.linear.has_value() || entry.linear->name.find(kept) == std::string::npos) continue;
      return fmt::format(
          "{} stays float, and loaders would take {} for it: they look for parts of names; "
          "quantize both or none",
          kept, entry.linear->name);
    }
  }
  return "";
}

}  // namespace pare::layout
