#include "pipeline/quantize/inventory.h"

#include "layouts/layout.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace pare::pipeline {

DType find_model_dtype(const Plan& plan) {
  if (plan.graph.has_value() && plan.graph->config.dtype.has_value()) {
    return *plan.graph->config.dtype;
  }
  return plan.source->find(plan.linears.all().front().source)->dtype;
}

namespace {

/// That of the weight, as msModelSlim stores scales, but F32 where it does so too (two stages), and
/// where no file holds them (sparse).
DType own_scale_dtype(const quant::Scheme& scheme, DType weight) noexcept {
  return scheme.form == quant::CodeForm::uniform ? weight : DType::f32;
}

int significant_bits(DType dtype) noexcept {
  if (dtype == DType::bf16) return 8;
  return dtype == DType::f16 ? 11 : 24;
}

/// msModelSlim's observers keep the activations' type, except the histogram: f32 for f16 models.
DType activation_dtype(const Plan& plan, const model::Module& linear) {
  if (plan.model_dtype != DType::f16) return plan.model_dtype;
  const auto method = static_cast<calib::ActMethod>(plan.job.params.integer("act_method"));
  const float score = score_of(plan.scores, linear);
  return calib::uses_histogram(method, score) ? DType::f32 : plan.model_dtype;
}

bool adds_biases(const Plan& plan) {
  return std::any_of(plan.transforms.begin(), plan.transforms.end(),
                     [](const PlannedTransform& planned) { return planned.adds_biases; });
}

bool is_tied(const model::Module& module) {
  return module.kind == model::ModuleKind::head && module.source != module.weight_name();
}

/// Lists the entries in the order of the model and remembers which source tensors were used.
class InventoryList {
 public:
  explicit InventoryList(const Plan& plan) : plan_(plan), adds_biases_(adds_biases(plan)) {
    inventory_.folder = plan.job.model;
    inventory_.scheme_tag = plan.spec.scheme_tag;
    inventory_.model_dtype = plan.model_dtype;
    inventory_.group_size = plan.spec.scheme.group_size;
  }

  void add(const model::Module& module) {
    used_.insert(module.source);
    if (module.multiplies() && plan_.linears.quantizes(module)) return add_linear(module);
    add_tensor(module.weight_name(), module.source, module);
    inventory_.entries.back().tied_head = is_tied(module);
    add_bias(module);
  }

  /// Source tensors not used so far: dropped when they are recomputed, else copied.
  Inventory finish() {
    for (const containers::TensorInfo& info : plan_.source->tensors()) {
      if (used_.contains(info.name)) continue;
      if (model::is_recomputed_buffer(info.name)) {
        inventory_.dropped.push_back({info.name, "buffer that engines recompute"});
      } else if (plan_.graph.has_value()) {
        inventory_.dropped.push_back({info.name, std::string(kTiedHeadRule)});
      } else {
        inventory_.entries.push_back({std::nullopt, info, info.name});
      }
    }
    return std::move(inventory_);
  }

 private:
  void add_linear(const model::Module& module) {
    used_.insert(module.bias_name());
    inventory_.entries.push_back({header_of(plan_, module), {}, ""});
  }

  /// As it is in the source, or as a transform makes it.
  void add_tensor(const std::string& name, const std::string& source, const model::Module& module) {
    const containers::TensorInfo& info = *plan_.source->find(source);
    place({name, info.dtype, info.shape}, source, module);
  }

  /// The bias of a float module: its own, or one that a transform adds in the type of the weight.
  void add_bias(const model::Module& module) {
    const std::string name = module.bias_name();
    used_.insert(name);
    if (plan_.source->find(name) != nullptr) {
      if (module.kind == model::ModuleKind::norm) inventory_.norm_biases.insert(name);
      return add_tensor(name, name, module);
    }
    if (!adds_biases_ || !plan_.rewritten.contains(module.name)) return;
    const DType dtype = plan_.source->find(module.source)->dtype;
    place({name, dtype, Shape{module.shape[0]}}, name, module);
  }

  void place(containers::TensorInfo tensor, const std::string& source,
             const model::Module& module) {
    const auto rewritten = plan_.rewritten.find(module.name);
    if (rewritten == plan_.rewritten.end()) {
      inventory_.entries.push_back({std::nullopt, std::move(tensor), source});
      return;
    }
    if (module.kind == model::ModuleKind::norm) inventory_.folded_norms.insert(module.name);
    const std::string made = tensor.name;
    inventory_.entries.push_back({std::nullopt, std::move(tensor), made, rewritten->second});
  }

  const Plan& plan_;
  bool adds_biases_;
  Inventory inventory_;
  std::set<std::string> used_;
};

Inventory take_inventory(const Plan& plan) {
  InventoryList list(plan);
  const std::vector<model::Module>& modules =
      plan.graph.has_value() ? plan.graph->modules : plan.linears.all();
  for (const model::Module& module : modules)
    list.add(module);
  return list.finish();
}

}  // namespace

DType scale_dtype(const QuantSpec& spec, DType weight) noexcept {
  DType fewest = DType::f32;
  for (const layout::Layout* layout : spec.layouts) {
    const DType stored = layout->scale_dtype.value_or(own_scale_dtype(spec.scheme, weight));
    if (significant_bits(stored) < significant_bits(fewest)) fewest = stored;
  }
  return fewest;
}

float score_of(const calib::SensitivityScores& scores, const model::Module& linear) noexcept {
  if (linear.kind == model::ModuleKind::head) return scores.head;
  const auto block = static_cast<std::size_t>(linear.block);
  if (!linear.site.has_value() || block >= scores.blocks.size()) return 0;
  return scores.blocks[block][static_cast<std::size_t>(*linear.site)];
}

quant::LinearHeader header_of(const Plan& plan, const model::Module& linear) {
  const DType weight = plan.source->find(linear.source)->dtype;
  quant::LinearHeader header;
  header.name = linear.name;
  header.scheme = plan.spec.scheme;
  header.out = linear.out();
  header.in = linear.in();
  header.scale_dtype = own_scale_dtype(plan.spec.scheme, weight);
  header.activation_dtype = activation_dtype(plan, linear);
  header.has_exponent = plan.has_exponent();
  header.row_parallel = linear.row_parallel;
  if (const auto* bias = plan.source->find(linear.bias_name()); bias != nullptr) {
    header.bias_dtype = bias->dtype;
  } else if (plan.rewritten.contains(linear.name) && adds_biases(plan)) {
    header.bias_dtype = weight;
  }
  return header;
}

FloatSource float_source(const Plan& plan) {
  const containers::TensorSource& source = *plan.source;
  return {
      [&](const std::string& name) { return source.read(name); },
      [&](const std::string& name) { source.release(name); },
      [&](const std::string& name) { return fmt::format("{} in {}", name, source.file_of(name)); }};
}

std::int64_t copied_head_weights(const model::ModelGraph& graph,
                                 const containers::TensorSource& source) {
  if (!graph.config.tied_head) return 0;
  const auto* copy = source.find(graph.module(model::Role::head).weight_name());
  return copy == nullptr ? 0 : copy->shape.numel();
}

void plan_outputs(Plan& plan) {
  const Inventory inventory = take_inventory(plan);
  const FloatSource floats = float_source(plan);
  for (const layout::Layout* layout : plan.spec.layouts) {
    PlannedOutput planned = plan_output(inventory, *layout, floats);
    if (!planned.reason.empty()) throw Error(ErrorCode::scheme_not_supported, planned.reason);
    if (plan.spec.layouts.size() > 1) planned.plan.subfolder = layout->id;
    planned.plan.bytes = layout::output_bytes(planned.plan, plan.job.params);
    plan.outputs.push_back(std::move(planned.plan));
  }
}

}  // namespace pare::pipeline
