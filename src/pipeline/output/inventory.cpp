#include "pipeline/output/inventory.h"

#include "layouts/layout.h"
#include "layouts/norm_copies.h"
#include "model/graph.h"
#include "pipeline/output/compare_floats.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare::pipeline {
namespace {

using layout::NormBias;
using quant::LinearHeader;

bool all_zero(const TensorView& tensor) {
  const std::vector<float> values = read_floats(tensor);
  return std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
}

class Planner {
 public:
  Planner(const Inventory& inventory, const layout::Layout& layout, const FloatSource& floats)
      : inventory_(inventory), layout_(layout), floats_(floats) {
    plan_.layout = &layout;
    plan_.dropped = inventory.dropped;
    plan_.scheme_tag = inventory.scheme_tag;
    plan_.model_dtype = inventory.model_dtype;
    plan_.group_size = inventory.group_size;
    plan_.source = inventory.folder;
  }

  PlannedOutput run() {
    for (const InventoryEntry& entry : inventory_.entries) {
      add_copies_before(entry);
      if (entry.linear.has_value()) {
        add_linear(*entry.linear);
      } else {
        add_tensor(entry);
      }
    }
    add_copies_before({});
    if (reason_.empty()) reason_ = layout_.check(plan_);
    return {std::move(plan_), std::move(reason_)};
  }

 private:
  void refuse(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
  }

  void add_linear(LinearHeader linear) {
    if (layout_.weights_only) leave_out_activations(linear);
    const std::string reason = layout_.refuses(linear.scheme);
    if (!reason.empty()) refuse(fmt::format("{}: {}", linear.name, reason));
    linear.scale_dtype = layout_.scale_dtype.value_or(linear.scale_dtype);
    if (linear.bias_dtype.has_value()) {
      linear.bias_dtype = layout_.float_dtype.value_or(*linear.bias_dtype);
    }
    plan_.entries.push_back({.linear = std::move(linear), .tensor = {}});
  }

  void leave_out_activations(LinearHeader& linear) {
    if (linear.scheme.activations == quant::Activations::none) return;
    linear.scheme.activations = quant::Activations::none;
    linear.activation_dtype = DType::f32;
    linear.symmetric_input = false;
    plan_.activations_left_out = true;
  }

  void add_tensor(const InventoryEntry& entry) {
    const std::string& name = entry.tensor.name;
    if (entry.tied_head && layout_.tied_head == layout::TiedHead::once) return leave_out(entry);
    if (inventory_.norm_biases.contains(name) && layout_.norm_bias == NormBias::none) {
      return drop_norm_bias(entry);
    }
    place(entry, name, "");
    const bool again = layout_.norm_bias == NormBias::duplicated &&
                       inventory_.folded_norms.contains(model::module_of(name));
    if (again) to_copy_.push_back(&entry);
  }

  /// A tied head, which config.json ties again. The source need not hold it as a tensor.
  void leave_out(const InventoryEntry& entry) {
    if (entry.source != entry.tensor.name) return;
    plan_.dropped.push_back({entry.tensor.name, std::string(kTiedHeadRule)});
  }

  /// Second copies of a norm stand behind all of its own tensors.
  void add_copies_before(const InventoryEntry& next) {
    if (to_copy_.empty()) return;
    const std::string module = model::module_of(to_copy_.front()->tensor.name);
    if (!next.linear.has_value() && model::module_of(next.tensor.name) == module) return;
    for (const InventoryEntry* entry : std::exchange(to_copy_, {})) {
      place(*entry, layout::norm_copy(entry->tensor.name), plan_.scheme_tag);
    }
  }

  void place(const InventoryEntry& entry, const std::string& name, const std::string& tag) {
    if (entry.rewritten_in < 0) {
      plan_.copied.push_back({name, entry.source});
    } else {
      plan_.rewritten.push_back({name, entry.source, entry.rewritten_in});
    }
    containers::TensorInfo tensor = entry.tensor;
    tensor.name = name;
    plan_.entries.push_back({.linear = std::nullopt, .tensor = std::move(tensor), .tag = tag});
  }

  void drop_norm_bias(const InventoryEntry& entry) {
    const bool zero = all_zero(floats_.read(entry.source));
    floats_.release(entry.source);
    if (zero) {
      plan_.dropped.push_back({entry.tensor.name, "bias of a norm, all 0"});
      return;
    }
    refuse(
        fmt::format("{} is what smoothing left behind, and the format has no place for the "
                    "bias of a norm",
                    entry.tensor.name));
  }

  const Inventory& inventory_;
  const layout::Layout& layout_;
  const FloatSource& floats_;
  layout::OutputPlan plan_;
  std::vector<const InventoryEntry*> to_copy_;
  std::string reason_;
};

}  // namespace

bool same_tensors(const FloatSource& floats, const std::string& a, const std::string& b) {
  const TensorView first = floats.read(a);
  const TensorView second = floats.read(b);
  if (first.dtype != second.dtype) return false;
  const auto give_back = [&] {
    floats.release(a);
    floats.release(b);
  };
  return compare_floats(first, second, give_back).problem.empty();
}

PlannedOutput plan_output(const Inventory& inventory, const layout::Layout& layout,
                          const FloatSource& floats) {
  return Planner(inventory, layout, floats).run();
}

}  // namespace pare::pipeline
