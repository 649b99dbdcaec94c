#include "pipeline/quantize/source_items.h"

#include <map>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "layouts/norm_copies.h"
#include "pipeline/quantize/smoothing.h"

namespace pare::pipeline {

DType find_model_dtype(const Plan& plan) {
  if (plan.graph.has_value() && plan.graph->config.dtype.has_value()) {
    return *plan.graph->config.dtype;
  }
  return plan.source->find(plan.linears.front().weight_source)->dtype;
}

namespace {

/// The format's own type when it has one; else that of the weight, as msModelSlim stores scales, but
/// F32 where it does so too (two stages), and where no file holds them (sparse).
DType stored_scale_dtype(const layout::Layout& layout, const quant::Scheme& scheme,
                         DType weight) noexcept {
  if (layout.scale_dtype.has_value()) return *layout.scale_dtype;
  return scheme.grid == quant::CodeForm::uniform ? weight : DType::f32;
}

int significant_bits(DType dtype) noexcept {
  if (dtype == DType::bf16) return 8;
  return dtype == DType::f16 ? 11 : 24;
}

}  // namespace

DType scale_dtype(const QuantSpec& spec, DType weight) noexcept {
  DType fewest = DType::f32;
  for (const layout::Layout* layout : spec.layouts) {
    const DType stored = stored_scale_dtype(*layout, spec.scheme, weight);
    if (significant_bits(stored) < significant_bits(fewest)) fewest = stored;
  }
  return fewest;
}

float score_of(const calib::SensitivityScores& scores, const LinearEntry& linear) noexcept {
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

/// Builds the items of one output in order and remembers which source tensors were used.
class ItemList {
 public:
  ItemList(const Plan& plan, Output& output) : plan_(plan), output_(output) {
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
    if (output_.layout->norm_bias != layout::NormBias::duplicated) return;
    if (!smoothed_.contains(module)) return;
    for (const std::string& name : {module + ".weight", module + ".bias"}) make_norm_copy(name);
  }

  /// Source tensors not used so far: dropped when they are recomputed, else copied.
  std::vector<DroppedTensor> finish_source() {
    std::vector<DroppedTensor> dropped;
    for (const containers::TensorInfo& info : plan_.source->tensors()) {
      if (used_.contains(info.name)) continue;
      if (model::is_recomputed_buffer(info.name)) {
        dropped.push_back({info.name, "buffer that engines recompute"});
      } else if (plan_.graph.has_value()) {
        dropped.push_back({info.name, "copy of the embedding (tied head)"});
      } else {
        copy(info.name, info.name);
      }
    }
    return dropped;
  }

 private:
  void add_linear(const LinearEntry& linear) {
    const containers::TensorInfo& source = *plan_.source->find(linear.weight_source);
    used_.insert(linear.weight_source);
    if (!linear.quantized()) {
      copy(linear.name + ".weight", linear.weight_source);
      return add_bias(linear.name, linear.weight_source);
    }
    layout::LinearPlan item;
    item.name = linear.name;
    item.scheme = plan_.spec.scheme;
    item.out = linear.out;
    item.in = linear.in;
    item.scale_dtype =
        stored_scale_dtype(*output_.layout, plan_.spec.scheme, source.dtype);
    item.row_parallel = is_row_parallel(linear);
    item.has_exponent = plan_.job.params.flag("nonuniform");
    item.activation_dtype = activation_dtype(linear);
    if (const auto* bias = plan_.source->find(linear.name + ".bias"); bias != nullptr) {
      item.bias_dtype = output_.layout->float_dtype.value_or(bias->dtype);
      used_.insert(bias->name);
    } else if (gets_bias(linear.name)) {
      item.bias_dtype = source.dtype;
    }
    output_.plan.items.push_back({.linear = std::move(item), .tensor = {}});
  }

  /// msModelSlim's observers keep the activations' type, except the histogram: f32 for f16 models.
  DType activation_dtype(const LinearEntry& linear) const {
    const DType dtype = plan_.model_dtype;
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
    const containers::TensorInfo& info = *plan_.source->find(weight);
    make(name, name, {name, info.dtype, Shape{info.shape[0]}}, smoothed_.at(module));
  }

  void make(const std::string& name, const std::string& patch, containers::TensorInfo info,
            std::int64_t block, std::string tag = {}) {
    output_.made.push_back({name, patch, block});
    output_.plan.items.push_back(
        {.linear = std::nullopt, .tensor = std::move(info), .tag = std::move(tag)});
  }

  /// A second item like that of `name`, under the name and with the tag that readers of smoothed
  /// models expect.
  void make_norm_copy(const std::string& name) {
    const std::vector<layout::Item>& items = output_.plan.items;
    for (std::size_t i = items.size(); i-- > 0;) {
      if (items[i].tensor.name != name) continue;
      containers::TensorInfo info = items[i].tensor;
      info.name = layout::norm_copy(name);
      const std::string module = name.substr(0, name.rfind('.'));
      return make(layout::norm_copy(name), name, std::move(info), smoothed_.at(module),
                  output_.plan.model_type);
    }
  }

  /// A float tensor as it is in the source, or as smoothing makes it.
  void copy(const std::string& name, const std::string& source) {
    const containers::TensorInfo& info = *plan_.source->find(source);
    used_.insert(source);
    const auto smoothed = smoothed_.find(name.substr(0, name.rfind('.')));
    if (smoothed != smoothed_.end()) {
      return make(name, name, {name, info.dtype, info.shape}, smoothed->second);
    }
    output_.copied.push_back({name, source});
    output_.plan.items.push_back(
        {.linear = std::nullopt, .tensor = {.name = name, .dtype = info.dtype, .shape = info.shape}});
  }

  const Plan& plan_;
  Output& output_;
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
void refuse_lost_norm_bias(const Plan& plan, const Output& output) {
  if (!plan.graph.has_value() || output.layout->norm_bias != layout::NormBias::none) return;
  for (const CopiedTensor& copy : output.copied) {
    if (!copy.name.ends_with("norm.bias")) continue;
    throw Error(ErrorCode::scheme_not_supported,
                fmt::format("format {} has no place for {}", output.layout->id, copy.name))
        .hint("ascend, ascend-v1 and npy have one");
  }
}

Output plan_output(const Plan& plan, const layout::Layout& layout,
                   std::vector<DroppedTensor>& dropped) {
  Output output;
  output.layout = &layout;
  if (plan.spec.layouts.size() > 1) output.subfolder = layout.id;
  output.plan.model_type = plan.spec.scheme_tag;
  output.plan.model_dtype = plan.model_dtype;
  output.plan.group_size = plan.spec.scheme.group_size;
  output.plan.source = plan.job.model;
  ItemList items(plan, output);
  if (plan.graph.has_value()) {
    items.add_module(plan.graph->embedding);
    for (const model::BlockNames& names : plan.graph->blocks) add_block(items, names);
    items.add_module(plan.graph->final_norm);
    items.add_module(plan.graph->head);
  } else {
    for (const LinearEntry& linear : plan.linears) items.add_module(linear.name);
  }
  dropped = items.finish_source();
  refuse_lost_norm_bias(plan, output);
  const std::string reason = layout.check(output.plan);
  if (!reason.empty()) throw Error(ErrorCode::scheme_not_supported, reason);
  output.bytes = layout::output_bytes(layout, output.plan, plan.job.params);
  return output;
}

}  // namespace

void fill_outputs(Plan& plan) {
  for (const layout::Layout* layout : plan.spec.layouts) {
    plan.outputs.push_back(plan_output(plan, *layout, plan.dropped));
  }
}

}  // namespace pare::pipeline
