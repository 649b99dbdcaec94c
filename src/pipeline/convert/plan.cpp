#include "pipeline/convert/plan.h"

#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace pare::pipeline {
namespace {

using layout::Layout;

/// Whether scales and float tensors keep every bit.
bool is_lossless(const Inventory& inventory, const Layout& layout) {
  const std::vector<InventoryEntry>& entries = inventory.entries;
  return std::all_of(entries.begin(), entries.end(), [&](const InventoryEntry& entry) {
    const auto& wanted = entry.linear.has_value() ? layout.scale_dtype : layout.float_dtype;
    const DType has = entry.linear.has_value() ? entry.linear->scale_dtype : entry.tensor.dtype;
    return !wanted.has_value() || *wanted == has || !is_weight_float(has);
  });
}

/// The formats that hold the model exactly, and those that only round its scales.
std::string other_formats(const Inventory& inventory, const ConvertSource& source,
                          const FloatSource& floats) {
  std::vector<std::string_view> exact;
  std::vector<std::string_view> rounded;
  for (const Layout* layout : layout::layouts()) {
    if (layout->plain_floats || layout->id == source.layout) continue;
    const PlannedOutput planned = plan_output(inventory, *layout, floats);
    if (!planned.reason.empty() || planned.plan.activations_left_out) continue;
    (is_lossless(inventory, *layout) ? exact : rounded).push_back(layout->id);
  }
  std::string text;
  if (!exact.empty()) text = fmt::format("without loss: --to {}", fmt::join(exact, ", "));
  if (!rounded.empty()) {
    text += fmt::format("{}with scales and float tensors in F16: --to {}", text.empty() ? "" : "; ",
                        fmt::join(rounded, ", "));
  }
  return text.empty() ? "plain float weights: --to dequantized" : text;
}

}  // namespace

std::string in_words_of_convert(std::string reason) {
  constexpr std::string_view kTheirs = "--format ";
  constexpr std::string_view kOurs = "--to ";
  for (std::size_t at = reason.find(kTheirs); at != std::string::npos;
       at = reason.find(kTheirs, at + kOurs.size())) {
    reason.replace(at, kTheirs.size(), kOurs);
  }
  return reason;
}

layout::OutputPlan plan_conversion(const Inventory& inventory, const ConvertSource& source,
                                   const Layout& layout) {
  const FloatSource floats = float_source(*source.checkpoint);
  PlannedOutput planned = plan_output(inventory, layout, floats);
  if (planned.reason.empty()) return std::move(planned.plan);
  throw Error(ErrorCode::scheme_not_supported, in_words_of_convert(planned.reason))
      .at(fmt::format("conversion to {}", layout.id))
      .hint(other_formats(inventory, source, floats));
}

}  // namespace pare::pipeline
