#include "pipeline/source_items.h"

#include <map>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "export/norm_copies.h"
#include "pipeline/smoothing.h"

namespace pare::pipeline {

DType model_dtype(const Plan& plan) {
  if (plan.graph.has_value() && plan.graph->config.dtype.has_value()) {
    return *plan.graph->config.dtype;
  }
  return plan.source->find(plan.linears.front().weight_source)->dtype;
}

DType scale_dtype(const Intent& intent, DType weight) noexcept {
  if (intent.exporter->scale_dtype.has_value()) return *intent.exporter->scale_dtype;
  return intent.scheme.grid == quant::WeightGrid::uniform ? weight : DType::f32;
}

float score_of(const calib::RangeScores& scores, const LinearEntry& linear) noexcept {
  if (!linear.role.has_value()) return scores.head;
  const auto block = static_cast<std::size_t>(linear.block);
  if (block >= scores.blocks.size()) return 0;
  return scores.blocks[block][static_cast<std::size_t>(model::site_of(*linear.role))];
}

namespace {

/// Engines that run on several devices give each a part of these linears' inputs, and of all other
/// linears' outputs.
bool is_row_parallel(const LinearEntry& linear) noexcept {
  return linear.role == model::LinearRole::o || linear.role == model::LinearRole::down;
}

/// Builds the items in order and remembers which source tensors were used.
class ItemList {
 public:
  explicit ItemList(Plan& plan) : plan_(plan) {
    for (const LinearEntry& linear : plan.linears) linears_[linear.name] = &linear;
    if (!plan.graph.has_value()) return;
    for (std::int64_t block = 0; block < plan.graph->config.layers; ++block) note_smoothed(block);
  }

  /// A module by its name: a quantized linear, or all of its own tensors as they are.
  void add_module(const std::string& module) {
    const auto found = linears_.find(module);
    if (found != linears_.end()) return add_linear(*found->second);
    copy(module + ".weight", module + ".weight");
    add_bias(module, module + ".weight");
  }

  void add_norm(const std::string& module) {
    add_module(module);
    if (plan_.intent.exporter->norm_bias != export_::NormBias::duplicated) return;
    if (!smoothed_.contains(module)) return;
    for (const std::string& name : {module + ".weight", module + ".bias"}) make_norm_copy(name);
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
      return add_bias(linear.name, linear.weight_source);
    }
    export_::LinearPlan item;
    item.name = linear.name;
    item.scheme = plan_.intent.scheme;
    item.out = linear.out;
    item.in = linear.in;
    item.scale_dtype = scale_dtype(plan_.intent, source.dtype);
    item.row_parallel = is_row_parallel(linear);
    item.has_power = plan_.job.params.flag("nonuniform");
    item.activation_dtype = activation_dtype(linear);
    if (const auto* bias = plan_.source->find(linear.name + ".bias"); bias != nullptr) {
      item.bias_dtype = plan_.intent.exporter->float_dtype.value_or(bias->dtype);
      used_.insert(bias->name);
    } else if (gets_bias(linear.name)) {
      item.bias_dtype = source.dtype;
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

  void note_smoothed(std::int64_t block) {
    const model::BlockNames& names = plan_.graph->blocks[static_cast<std::size_t>(block)];
    for (const model::Site which : smoothed_sites(plan_, block)) {
      const transform::SmoothSite site = transform::smooth_site(names, which);
      smoothed_[site.norm] = block;
      for (const std::string& linear : site.linears) smoothed_[linear] = block;
    }
  }

  bool gets_bias(const std::string& module) const {
    return smoothed_.contains(module) && smoothing_shifts(plan_);
  }

  /// The bias of a float module: its own, or the one that smoothing adds in the type of `weight`.
  void add_bias(const std::string& module, const std::string& weight) {
    const std::string name = module + ".bias";
    if (plan_.source->find(name) != nullptr) return copy(name, name);
    if (!gets_bias(module)) return;
    const formats::TensorInfo& info = *plan_.source->find(weight);
    make(name, name, {name, info.dtype, Shape{info.shape[0]}}, smoothed_.at(module));
  }

  void make(const std::string& name, const std::string& patch, formats::TensorInfo info,
            std::int64_t block, std::string tag = {}) {
    plan_.made.push_back({name, patch, block});
    plan_.output.items.push_back(
        {.linear = std::nullopt, .tensor = std::move(info), .tag = std::move(tag)});
  }

  /// A second item like that of `name`, under the name and with the tag that readers of smoothed
  /// models expect.
  void make_norm_copy(const std::string& name) {
    for (std::size_t i = plan_.output.items.size(); i-- > 0;) {
      if (plan_.output.items[i].tensor.name != name) continue;
      formats::TensorInfo info = plan_.output.items[i].tensor;
      info.name = export_::norm_copy(name);
      const std::string module = name.substr(0, name.rfind('.'));
      return make(export_::norm_copy(name), name, std::move(info), smoothed_.at(module),
                  plan_.output.model_type);
    }
  }

  /// A float tensor as it is in the source, or as smoothing makes it.
  void copy(const std::string& name, const std::string& source) {
    const formats::TensorInfo& info = *plan_.source->find(source);
    used_.insert(source);
    const auto smoothed = smoothed_.find(name.substr(0, name.rfind('.')));
    if (smoothed != smoothed_.end()) {
      return make(name, name, {name, info.dtype, info.shape}, smoothed->second);
    }
    plan_.copied.push_back({name, source});
    plan_.output.items.push_back(
        {.linear = std::nullopt, .tensor = {.name = name, .dtype = info.dtype, .shape = info.shape}});
  }

  Plan& plan_;
  std::map<std::string, const LinearEntry*> linears_;
  std::map<std::string, std::int64_t> smoothed_;  // module -> block
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
  items.add_norm(names.input_norm);
  items.add_norm(names.mlp_norm);
}

/// A bias that the source's norms have already needs a place, too.
void refuse_lost_norm_bias(const Plan& plan) {
  if (!plan.graph.has_value() || smoothing_shifts(plan)) return;
  for (const CopiedTensor& copy : plan.copied) {
    if (!copy.name.ends_with("norm.bias")) continue;
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("format {} has no place for {}", plan.intent.exporter->id, copy.name))
        .hint("ascend, ascend-v1 and npy have one");
  }
}

}  // namespace

void fill_output(Plan& plan) {
  plan.output.model_type = plan.intent.type_tag;
  plan.output.group_size = plan.intent.scheme.group_size;
  plan.output.source = plan.job.model;
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
  refuse_lost_norm_bias(plan);
  const std::string reason = plan.intent.exporter->check(plan.output);
  if (!reason.empty()) throw Error(ErrorCode::scheme_not_supported, reason);
  plan.output_bytes =
      export_::output_bytes(*plan.intent.exporter, plan.output, plan.job.params);
}

}  // namespace pare::pipeline
