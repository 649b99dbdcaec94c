#include "pipeline/convert/plan.h"

#include "core/error.h"
#include "layouts/norm_copies.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

namespace pare::pipeline {
namespace {

using layout::Layout;
using layout::Item;
using layout::LinearPlan;
using layout::NormBias;

/// The type most linears have.
std::string type_of_model(const std::vector<Item>& items) {
  std::map<std::string, std::size_t> counts;
  for (const Item& item : items) {
    if (item.linear.has_value()) ++counts[std::string(quant::scheme_tag_of(item.linear->scheme))];
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

/// The size that all groups share, 0 when there is none.
std::int64_t group_size_of_model(const std::vector<Item>& items) {
  std::set<std::int64_t> sizes;
  for (const Item& item : items) {
    if (item.linear.has_value()) sizes.insert(item.linear->scheme.group_size);
  }
  return sizes.size() == 1 ? *sizes.begin() : 0;
}

bool is_zero(const TensorView& tensor) {
  const std::vector<float> values = read_floats(tensor);
  return std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
}

/// One layout's view of an inventory, and why it cannot be ("" when it can).
class Planner {
 public:
  Planner(const SourceInventory& inventory, const layout::QuantizedCheckpoint& checkpoint,
          const Layout& layout)
      : inventory_(inventory), checkpoint_(checkpoint), layout_(layout) {
    plan_.layout = &layout;
    plan_.output.model_type = type_of_model(inventory.items);
    plan_.output.model_dtype = inventory.model_dtype;
    plan_.output.group_size = group_size_of_model(inventory.items);
    plan_.output.source = inventory.folder;
    for (const Item& item : inventory.items) {
      if (item.linear.has_value()) {
        add_linear(*item.linear);
      } else {
        add_tensor(item.tensor);
      }
    }
    if (reason_.empty()) reason_ = layout.check(plan_.output);
  }

  const std::string& reason() const noexcept { return reason_; }
  ConvertPlan&& take() noexcept { return std::move(plan_); }

  bool without_activations() const noexcept { return plan_.without_activations; }

  /// Whether scales and float tensors keep every bit.
  bool lossless() const {
    return std::all_of(inventory_.items.begin(), inventory_.items.end(), [&](const Item& item) {
      const auto& wanted = item.linear.has_value() ? layout_.scale_dtype : layout_.float_dtype;
      const DType has = item.linear.has_value() ? item.linear->scale_dtype : item.tensor.dtype;
      return !wanted.has_value() || *wanted == has || !is_weight_float(has);
    });
  }

 private:
  void add_linear(LinearPlan linear) {
    if (layout_.weights_only) leave_out_activations(linear);
    if (reason_.empty()) {
      const std::string reason = layout_.refuses(linear.scheme);
      if (!reason.empty()) reason_ = fmt::format("{}: {}", linear.name, reason);
    }
    linear.scale_dtype = layout_.scale_dtype.value_or(linear.scale_dtype);
    if (linear.bias_dtype.has_value()) {
      linear.bias_dtype = layout_.float_dtype.value_or(*linear.bias_dtype);
    }
    plan_.output.items.push_back({.linear = std::move(linear), .tensor = {}});
  }

  void leave_out_activations(LinearPlan& linear) {
    if (linear.scheme.activations == quant::Activations::none) return;
    linear.scheme.activations = quant::Activations::none;
    linear.activation_dtype = DType::f32;
    linear.symmetric_input = false;
    plan_.without_activations = true;
  }

  void add_tensor(const containers::TensorInfo& info) {
    if (inventory_.norm_biases.contains(info.name) && layout_.norm_bias == NormBias::none) {
      return drop_norm_bias(info.name);
    }
    copy(info, info.name, "");
    if (layout_.norm_bias != NormBias::duplicated) return;
    const std::string bias = info.name.substr(0, info.name.rfind('.')) + ".bias";
    if (!inventory_.norm_biases.contains(bias)) return;
    containers::TensorInfo twin = info;
    twin.name = layout::norm_copy(info.name);
    copy(twin, info.name, plan_.output.model_type);
  }

  void copy(const containers::TensorInfo& info, const std::string& source, const std::string& tag) {
    plan_.copied.push_back({info.name, source});
    plan_.output.items.push_back({.linear = std::nullopt, .tensor = info, .tag = tag});
  }

  void drop_norm_bias(const std::string& name) {
    if (is_zero(*checkpoint_.tensor(name))) {
      plan_.dropped.push_back({name, "bias of a norm, all 0"});
    } else if (reason_.empty()) {
      reason_ = fmt::format(
          "{} is what smoothing left behind, and the format has no place for the "
          "bias of a norm",
          name);
    }
    checkpoint_.release(name);
  }

  const SourceInventory& inventory_;
  const layout::QuantizedCheckpoint& checkpoint_;
  const Layout& layout_;
  ConvertPlan plan_;
  std::string reason_;
};

/// The formats that hold the model exactly, and those that only round its scales.
std::string other_formats(const SourceInventory& inventory,
                          const layout::QuantizedCheckpoint& checkpoint) {
  std::vector<std::string_view> exact;
  std::vector<std::string_view> rounded;
  for (const Layout* layout : layout::layouts()) {
    if (layout->plain_floats || layout->id == inventory.layout) continue;
    const Planner planner(inventory, checkpoint, *layout);
    if (!planner.reason().empty() || planner.without_activations()) continue;
    (planner.lossless() ? exact : rounded).push_back(layout->id);
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

ConvertPlan plan_conversion(const SourceInventory& inventory,
                            const layout::QuantizedCheckpoint& checkpoint,
                            const Layout& layout) {
  Planner planner(inventory, checkpoint, layout);
  if (planner.reason().empty()) return planner.take();
  throw Error(ErrorCode::scheme_not_supported, in_words_of_convert(planner.reason()))
      .at(fmt::format("conversion to {}", layout.id))
      .hint(other_formats(inventory, checkpoint));
}

}  // namespace pare::pipeline
