// Reads what a quantized source holds, in the order of the model.
#include "pipeline/convert/inventory.h"

#include "layouts/norm_copies.h"
#include "model/architecture.h"
#include "model/module_names.h"
#include "pare/error.h"
#include "pipeline/convert/entry_order.h"
#include "quant/named_schemes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace pare::pipeline {
namespace {

using quant::LinearHeader;

constexpr std::string_view kBias = ".bias";

/// The graph where config.json describes one; layouts are converted without it as well.
std::optional<model::ModelGraph> find_graph(const std::filesystem::path& folder) {
  try {
    return model::read_graph(folder);
  } catch (const Error& failure) {
    const ErrorKind kind = failure.kind();
    const bool none = kind == ErrorKind::not_found || kind == ErrorKind::unsupported;
    if (none || failure.code() == ErrorCode::bad_config) return std::nullopt;
    throw;
  }
}

/// Weights of another model, or packed in another way than the files say.
void refuse_other_shape(const model::Module& module, const LinearHeader& linear) {
  if (linear.out == module.out() && linear.in == module.in()) return;
  const bool half = linear.out == module.out() && linear.in * 2 == module.in();
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} has {} outputs and {} inputs, config.json asks for {} and {}",
                          linear.name, linear.out, linear.in, module.out(), module.in()))
      .hint(half ? "the weights may be packed two codes to a byte: such files have \"version\": "
                   "\"1.0.0\" in their quant_model_description.json"
                 : "weights, description and config.json must come from one run: copy the folder "
                   "again whole");
}

/// The stored tensor behind a name; a norm may be there as its copy alone.
const containers::TensorInfo& stored_info(const containers::TensorSource& stored,
                                          const std::string& name) {
  const containers::TensorInfo* info = stored.find(name);
  return info != nullptr ? *info : *stored.find(layout::norm_copy(name));
}

/// Static linears may hold their bias in quant_bias alone; then it is found by adding codes up.
void find_hidden_bias(const layout::QuantizedCheckpoint& checkpoint, LinearHeader& linear) {
  if (linear.bias_dtype.has_value()) return;
  if (linear.scheme.activations != quant::Activations::static_tensor) return;
  const auto stored = checkpoint.linear(linear.name);
  if (stored.has_value() && !stored->effective_bias.empty()) linear.bias_dtype = DType::f32;
}

/// Layouts that state one scheme for all linears must not fail over zeros that happen to be 0, nor
/// over a linear so narrow that its one group is the whole row.
void unify(std::vector<InventoryEntry>& items) {
  bool asymmetric = false;
  bool shifted_inputs = false;
  std::set<std::int64_t> sizes;
  const auto weight_only = [](const LinearHeader& linear) {
    return linear.scheme.activations == quant::Activations::none &&
           linear.scheme.form == quant::CodeForm::uniform;
  };
  for (const InventoryEntry& entry : items) {
    if (!entry.linear.has_value()) continue;
    const LinearHeader& linear = *entry.linear;
    asymmetric = asymmetric || (weight_only(linear) && !linear.scheme.symmetric);
    shifted_inputs = shifted_inputs || !linear.symmetric_input;
    if (linear.scheme.granularity == quant::Granularity::group) {
      sizes.insert(linear.scheme.group_size);
    }
  }
  for (InventoryEntry& entry : items) {
    if (!entry.linear.has_value()) continue;
    LinearHeader& linear = *entry.linear;
    if (shifted_inputs) linear.symmetric_input = false;
    if (!weight_only(linear)) continue;
    if (asymmetric) linear.scheme.symmetric = false;
    const bool one_group = linear.scheme.granularity == quant::Granularity::channel &&
                           sizes.size() == 1 && *sizes.begin() == linear.in;
    if (!one_group) continue;
    linear.scheme.granularity = quant::Granularity::group;
    linear.scheme.group_size = linear.in;
  }
}

DType dtype_of_model(const std::optional<model::ModelGraph>& graph, const Inventory& inventory) {
  if (graph.has_value() && graph->config.dtype.has_value()) return *graph->config.dtype;
  for (const InventoryEntry& entry : inventory.entries) {
    if (!entry.linear.has_value() && is_weight_float(entry.tensor.dtype)) return entry.tensor.dtype;
  }
  return DType::f32;
}

/// The type most linears have.
std::string tag_of_model(const Inventory& inventory) {
  std::map<std::string, std::size_t> counts;
  for (const InventoryEntry& entry : inventory.entries) {
    if (entry.linear.has_value()) ++counts[std::string(quant::scheme_tag_of(entry.linear->scheme))];
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

/// The size that all groups share, 0 when there is none.
std::int64_t group_size_of_model(const Inventory& inventory) {
  std::set<std::int64_t> sizes;
  for (const InventoryEntry& entry : inventory.entries) {
    if (entry.linear.has_value()) sizes.insert(entry.linear->scheme.group_size);
  }
  return sizes.size() == 1 ? *sizes.begin() : 0;
}

/// A head that is tied to the embedding is one tensor in some layouts, in others two that are
/// equal; each becomes what the other layout makes of it. Where they differ, both are kept as they
/// are.
void find_tied_head(const ConvertSource& source, const model::ModelGraph& graph,
                    Inventory& inventory) {
  const auto head = std::find_if(
      graph.modules.begin(), graph.modules.end(),
      [](const model::Module& module) { return module.kind == model::ModuleKind::head; });
  if (head == graph.modules.end() || head->source == head->weight_name()) return;
  const auto find = [&](const std::string& tensor) {
    return std::find_if(inventory.entries.begin(), inventory.entries.end(),
                        [&](const InventoryEntry& entry) { return entry.tensor.name == tensor; });
  };
  const auto embedding = find(head->source);
  if (embedding == inventory.entries.end()) return;
  const auto own = find(head->weight_name());
  if (own != inventory.entries.end()) {
    own->tied_head = same_tensors(float_source(*source.checkpoint), own->source, embedding->source);
    return;
  }
  const std::vector<std::string> linears = source.checkpoint->linears();
  if (std::find(linears.begin(), linears.end(), head->name) != linears.end()) return;
  InventoryEntry entry = *embedding;
  entry.tensor.name = head->weight_name();
  entry.tied_head = true;
  inventory.entries.push_back(std::move(entry));
}

class InventoryReader {
 public:
  InventoryReader(const ConvertSource& source, const std::optional<model::ModelGraph>& graph)
      : checkpoint_(*source.checkpoint), stored_(checkpoint_.stored()), knows_model_(graph) {
    if (graph.has_value()) modules_ = model::index_modules(*graph);
  }

  void add_tensor(const std::string& name, Inventory& inventory) const {
    const containers::TensorInfo& info = stored_info(*stored_, name);
    inventory.entries.push_back({std::nullopt, {name, info.dtype, info.shape, info.foreign}, name});
    if (!name.ends_with(kBias)) return;
    const std::string module = model::module_of(name);
    const model::Module* known = find(module);
    const bool norm = known != nullptr && (known->kind == model::ModuleKind::norm ||
                                           known->kind == model::ModuleKind::head_norm);
    if (!norm && stored_->find(layout::norm_copy(name)) == nullptr) return;
    inventory.norm_biases.insert(name);
    inventory.folded_norms.insert(module);
  }

  void add_linear(const std::string& name, Inventory& inventory) const {
    LinearHeader linear = checkpoint_.header(name);
    const model::Module* known = find(name);
    if (known != nullptr) refuse_other_shape(*known, linear);
    linear.row_parallel = known != nullptr ? known->row_parallel : model::is_row_parallel(name);
    const bool bias_possible =
        !knows_model_ || !inventory.norm_biases.empty() || (known != nullptr && known->bias);
    if (bias_possible) find_hidden_bias(checkpoint_, linear);
    checkpoint_.release(name);
    inventory.entries.push_back({std::move(linear), {}, ""});
  }

 private:
  const model::Module* find(const std::string& module) const {
    const auto found = modules_.find(module);
    return found == modules_.end() ? nullptr : found->second;
  }

  const layout::QuantizedCheckpoint& checkpoint_;
  std::shared_ptr<const containers::TensorSource> stored_;
  bool knows_model_;
  model::ModuleIndex modules_;
};

}  // namespace

Inventory read_inventory(const Context& ctx, const ConvertSource& source) {
  const std::optional<model::ModelGraph> graph = find_graph(source.folder);
  const InventoryReader reader(source, graph);
  Inventory inventory;
  inventory.folder = source.folder;
  for (const std::string& name : source.checkpoint->tensors())
    reader.add_tensor(name, inventory);
  for (const std::string& name : source.checkpoint->linears()) {
    ctx.check_cancelled();
    reader.add_linear(name, inventory);
  }
  if (graph.has_value()) find_tied_head(source, *graph, inventory);
  unify(inventory.entries);
  sort_by_module(inventory.entries, graph);
  inventory.model_dtype = dtype_of_model(graph, inventory);
  inventory.scheme_tag = tag_of_model(inventory);
  inventory.group_size = group_size_of_model(inventory);
  return inventory;
}

FloatSource float_source(const layout::QuantizedCheckpoint& checkpoint) {
  return {[&](const std::string& name) { return *checkpoint.tensor(name); },
          [&](const std::string& name) { checkpoint.release(name); },
          [](const std::string& name) { return name; }};
}

}  // namespace pare::pipeline
