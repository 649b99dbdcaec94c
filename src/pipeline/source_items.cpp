#include "pipeline/source_items.h"

#include <map>
#include <set>

#include "core/error.h"

namespace pare::pipeline {

DType model_dtype(const Plan& plan) {
  if (plan.graph.has_value() && plan.graph->config.dtype.has_value()) {
    return *plan.graph->config.dtype;
  }
  return plan.source->find(plan.linears.front().weight_source)->dtype;
}

float score_of(const calib::RangeScores& scores, const LinearEntry& linear) noexcept {
  if (!linear.role.has_value()) return scores.head;
  const auto block = static_cast<std::size_t>(linear.block);
  if (block >= scores.blocks.size()) return 0;
  return scores.blocks[block][static_cast<std::size_t>(model::site_of(*linear.role))];
}

namespace {

/// Builds the items in order and remembers which source tensors were used.
class ItemList {
 public:
  explicit ItemList(Plan& plan) : plan_(plan) {
    for (const LinearEntry& linear : plan.linears) linears_[linear.name] = &linear;
  }

  /// A module by its name: a quantized linear, or all of its own tensors as they are.
  void add_module(const std::string& module) {
    const auto found = linears_.find(module);
    if (found != linears_.end()) return add_linear(*found->second);
    copy(module + ".weight", module + ".weight");
    copy_if_present(module + ".bias");
  }

  /// Source tensors not used so far: dropped when they are recomputed, else copied.
  void finish_source() {
    for (const formats::TensorInfo& info : plan_.source->tensors()) {
      if (used_.contains(info.name)) continue;
      if (model::is_recomputed_buffer(info.name)) {
        plan_.dropped.push_back({info.name, "buffer that engines recompute"});
      } else if (plan_.graph.has_value()) {
        plan_.dropped.push_back({info.name, "copy of the embedding (tied head)"});
      } else {
        copy(info.name, info.name);
      }
    }
  }

 private:
  void add_linear(const LinearEntry& linear) {
    const formats::TensorInfo& source = *plan_.source->find(linear.weight_source);
    used_.insert(linear.weight_source);
    if (!linear.quantized()) {
      copy(linear.name + ".weight", linear.weight_source);
      return copy_if_present(linear.name + ".bias");
    }
    export_::LinearPlan item;
    item.name = linear.name;
    item.scheme = plan_.intent.scheme;
    item.out = linear.out;
    item.in = linear.in;
    item.scale_dtype = source.dtype;
    item.activation_dtype = activation_dtype(linear);
    if (const auto* bias = plan_.source->find(linear.name + ".bias"); bias != nullptr) {
      item.bias_dtype = bias->dtype;
      used_.insert(bias->name);
    }
    plan_.output.items.push_back({.linear = std::move(item), .tensor = {}});
  }

  /// msModelSlim's observers keep the activations' type, except the histogram: f32 for f16 models.
  DType activation_dtype(const LinearEntry& linear) const {
    const DType dtype = plan_.output.model_dtype;
    if (dtype != DType::f16) return dtype;
    const auto method = static_cast<calib::ActMethod>(plan_.job.params.integer("act_method"));
    const float score = score_of(plan_.scores, linear);
    return calib::uses_histogram(method, score) ? DType::f32 : dtype;
  }

  void copy(const std::string& name, const std::string& source) {
    const formats::TensorInfo& info = *plan_.source->find(source);
    used_.insert(source);
    plan_.copied.push_back({name, source});
    plan_.output.items.push_back(
        {.linear = std::nullopt, .tensor = {.name = name, .dtype = info.dtype, .shape = info.shape}});
  }

  void copy_if_present(const std::string& name) {
    if (plan_.source->find(name) != nullptr) copy(name, name);
  }

  Plan& plan_;
  std::map<std::string, const LinearEntry*> linears_;
  std::set<std::string> used_;
};

void add_block(ItemList& items, const model::BlockNames& names) {
  using model::LinearRole;
  for (const LinearRole role : {LinearRole::q, LinearRole::k, LinearRole::v, LinearRole::o}) {
    items.add_module(names.linear(role));
  }
  if (!names.q_norm.empty()) {
    items.add_module(names.q_norm);
    items.add_module(names.k_norm);
  }
  for (const LinearRole role : {LinearRole::gate, LinearRole::up, LinearRole::down}) {
    items.add_module(names.linear(role));
  }
  items.add_module(names.input_norm);
  items.add_module(names.mlp_norm);
}

}  // namespace

void fill_output(Plan& plan) {
  plan.output.model_type = plan.intent.type_tag;
  plan.output.group_size = plan.intent.scheme.group_size;
  ItemList items(plan);
  if (plan.graph.has_value()) {
    items.add_module(plan.graph->embedding);
    for (const model::BlockNames& names : plan.graph->blocks) add_block(items, names);
    items.add_module(plan.graph->final_norm);
    items.add_module(plan.graph->head);
  } else {
    for (const LinearEntry& linear : plan.linears) items.add_module(linear.name);
  }
  items.finish_source();
  const std::string reason = plan.intent.exporter->check(plan.output);
  if (!reason.empty()) throw Error(ErrorCode::scheme_not_supported, reason);
  plan.output_bytes =
      export_::output_bytes(*plan.intent.exporter, plan.output, plan.job.params);
}

}  // namespace pare::pipeline
