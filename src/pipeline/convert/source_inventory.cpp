// Reads what a quantized source holds, in the order of the model.
#include "core/error.h"
#include "layouts/norm_copies.h"
#include "pipeline/convert/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

namespace pare::pipeline {
namespace {

using layout::Item;
using layout::LinearPlan;

constexpr std::string_view kBias = ".bias";

std::string module_of(const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); }

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

/// Orders names as people count: layers.2 before layers.10.
bool natural_less(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
      continue;
    }
    const auto end = [&](std::string_view s, std::size_t at) {
      while (at < s.size() && digit(s[at]))
        ++at;
      return at;
    };
    const std::string_view x = a.substr(i, end(a, i) - i);
    const std::string_view y = b.substr(j, end(b, j) - j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
    i += x.size();
    j += y.size();
  }
  return a.size() - i < b.size() - j;
}

/// Places of modules in the order in which `pare quantize` writes them.
class ModuleOrder {
 public:
  explicit ModuleOrder(const std::optional<model::ModelGraph>& graph) {
    if (!graph.has_value()) return;
    add(graph->embedding);
    for (const model::BlockNames& names : graph->blocks) {
      using model::LinearRole;
      for (const LinearRole r : {LinearRole::q, LinearRole::k, LinearRole::v, LinearRole::o}) {
        add(names.linear(r));
      }
      add(names.q_norm);
      add(names.k_norm);
      for (const LinearRole r : {LinearRole::gate, LinearRole::up, LinearRole::down}) {
        add(names.linear(r));
      }
      add(names.input_norm);
      add(names.mlp_norm);
    }
    add(graph->final_norm);
    add(graph->head);
  }

  bool before(const Item& a, const Item& b) const {
    const auto [module_a, name_a] = key(a);
    const auto [module_b, name_b] = key(b);
    const std::size_t place_a = place(module_a);
    const std::size_t place_b = place(module_b);
    if (place_a != place_b) return place_a < place_b;
    if (module_a != module_b) return natural_less(module_a, module_b);
    const bool bias_a = name_a.ends_with(kBias);
    const bool bias_b = name_b.ends_with(kBias);
    return bias_a != bias_b ? bias_b : name_a < name_b;
  }

 private:
  void add(const std::string& module) {
    if (!module.empty()) places_.emplace(module, places_.size());
  }

  std::size_t place(const std::string& module) const {
    const auto found = places_.find(module);
    return found == places_.end() ? places_.size() : found->second;
  }

  static std::pair<std::string, std::string> key(const Item& item) {
    if (item.linear.has_value()) return {item.linear->name, item.linear->name};
    return {module_of(item.tensor.name), item.tensor.name};
  }

  std::map<std::string, std::size_t> places_;
};

/// What the graph says of modules by name.
struct Roles {
  std::set<std::string> row_parallel;
  std::set<std::string> with_bias;
  std::set<std::string> norms;
  std::map<std::string, model::LinearShape> shapes;
};

Roles roles_of(const std::optional<model::ModelGraph>& graph) {
  Roles roles;
  if (!graph.has_value()) return roles;
  using model::LinearRole;
  for (const model::BlockNames& names : graph->blocks) {
    for (const LinearRole role : {LinearRole::o, LinearRole::down}) {
      roles.row_parallel.insert(names.linear(role));
    }
    for (const LinearRole role : model::kLinearRoles) {
      const model::LinearShape shape = linear_shape(graph->config, role);
      if (shape.bias) roles.with_bias.insert(names.linear(role));
      roles.shapes.emplace(names.linear(role), shape);
    }
    for (const std::string* norm :
         {&names.input_norm, &names.mlp_norm, &names.q_norm, &names.k_norm}) {
      if (!norm->empty()) roles.norms.insert(*norm);
    }
  }
  roles.norms.insert(graph->final_norm);
  return roles;
}

/// Weights of another model, or packed in another way than the files say.
void refuse_other_shape(const Roles& roles, const LinearPlan& linear) {
  const auto found = roles.shapes.find(linear.name);
  if (found == roles.shapes.end()) return;
  const model::LinearShape& shape = found->second;
  if (linear.out == shape.out && linear.in == shape.in) return;
  const bool half = linear.out == shape.out && linear.in * 2 == shape.in;
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} has {} outputs and {} inputs, config.json asks for {} and {}",
                          linear.name, linear.out, linear.in, shape.out, shape.in))
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
void find_hidden_bias(const layout::QuantizedCheckpoint& checkpoint, LinearPlan& linear) {
  if (linear.bias_dtype.has_value()) return;
  if (linear.scheme.activations != quant::Activations::static_tensor) return;
  const auto stored = checkpoint.linear(linear.name);
  if (stored.has_value() && !stored->effective_bias.empty()) linear.bias_dtype = DType::f32;
}

/// Layouts that state one scheme for all linears must not fail over zeros that happen to be 0, nor
/// over a linear so narrow that its one group is the whole row.
void unify(std::vector<Item>& items) {
  bool asymmetric = false;
  bool shifted_inputs = false;
  std::set<std::int64_t> sizes;
  const auto weight_only = [](const LinearPlan& linear) {
    return linear.scheme.activations == quant::Activations::none &&
           linear.scheme.grid == quant::CodeForm::uniform;
  };
  for (const Item& item : items) {
    if (!item.linear.has_value()) continue;
    const LinearPlan& linear = *item.linear;
    asymmetric = asymmetric || (weight_only(linear) && !linear.scheme.symmetric);
    shifted_inputs = shifted_inputs || !linear.symmetric_input;
    if (linear.scheme.granularity == quant::Granularity::group) {
      sizes.insert(linear.scheme.group_size);
    }
  }
  for (Item& item : items) {
    if (!item.linear.has_value()) continue;
    LinearPlan& linear = *item.linear;
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

DType dtype_of_model(const SourceInventory& inventory) {
  if (inventory.graph.has_value() && inventory.graph->config.dtype.has_value()) {
    return *inventory.graph->config.dtype;
  }
  for (const Item& item : inventory.items) {
    if (!item.linear.has_value() && is_weight_float(item.tensor.dtype)) return item.tensor.dtype;
  }
  return DType::f32;
}

}  // namespace

SourceInventory read_inventory(const Context& ctx, const ConvertSource& source) {
  SourceInventory inventory;
  inventory.folder = source.folder;
  inventory.layout = source.layout;
  inventory.graph = find_graph(source.folder);
  const Roles roles = roles_of(inventory.graph);
  const auto stored = source.checkpoint->stored();
  for (const std::string& name : source.checkpoint->tensors()) {
    const containers::TensorInfo& info = stored_info(*stored, name);
    inventory.items.push_back({.linear = std::nullopt,
                             .tensor = {.name = name, .dtype = info.dtype, .shape = info.shape}});
    if (!name.ends_with(kBias)) continue;
    const bool copied = stored->find(layout::norm_copy(name)) != nullptr;
    if (copied || roles.norms.contains(module_of(name))) inventory.norm_biases.insert(name);
  }
  const bool biases_possible = !inventory.graph.has_value() || !inventory.norm_biases.empty();
  const std::vector<std::string> linears = source.checkpoint->linears();
  for (const std::string& name : linears) {
    ctx.check_cancelled();
    LinearPlan linear = source.checkpoint->plan(name);
    refuse_other_shape(roles, linear);
    linear.row_parallel = roles.row_parallel.contains(name);
    if (biases_possible || roles.with_bias.contains(name)) {
      find_hidden_bias(*source.checkpoint, linear);
    }
    source.checkpoint->release(name);
    inventory.items.push_back({.linear = std::move(linear), .tensor = {}});
  }
  unify(inventory.items);
  const ModuleOrder order(inventory.graph);
  std::sort(inventory.items.begin(), inventory.items.end(),
            [&](const Item& a, const Item& b) { return order.before(a, b); });
  inventory.model_dtype = dtype_of_model(inventory);
  return inventory;
}

}  // namespace pare::pipeline
