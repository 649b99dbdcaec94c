#include "pipeline/open/float_model.h"

#include "io/json.h"
#include "model/architecture.h"
#include "model/module_names.h"
#include "pare/error.h"
#include "pipeline/open/float_weights.h"
#include "pipeline/open/linear_selection.h"
#include "pipeline/open/linears_by_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

using containers::TensorInfo;
using containers::TensorSource;
using model::ModelGraph;
using model::Module;

bool has_any_linear(const TensorSource& source, const ModelGraph& graph) {
  return std::any_of(graph.modules.begin(), graph.modules.end(), [&](const Module& module) {
    return module.kind == model::ModuleKind::linear && source.find(module.source) != nullptr;
  });
}

/// A weight that no class with these names can lack, or one of another model. Heads are left to the
/// class.
bool is_wrong(const TensorSource& source, const Module& module) {
  const TensorInfo* info = source.find(module.source);
  if (info == nullptr) return module.kind != model::ModuleKind::head;
  return info->shape != module.shape || !is_weight_float(info->dtype);
}

/// Whether the weights are a damaged copy of what config.json describes, or not those of that
/// model, and not just those of a relative with the same blocks: with another head, without one,
/// with names of its own or with more beside the blocks.
bool is_damaged(const FloatModel& model, const ModelGraph& graph) {
  if (!has_any_linear(*model.source, graph)) return false;
  const auto wrong = [&](const Module& module) { return is_wrong(*model.source, module); };
  const auto beyond = [&](const Module& linear) { return linear.block >= graph.config.layers; };
  return std::any_of(graph.modules.begin(), graph.modules.end(), wrong) ||
         std::any_of(model.linears.begin(), model.linears.end(), beyond);
}

/// One line of what an error says.
std::string reason_of(const Error& failure) {
  return fmt::format("{}: {}", title_of(failure.code()), failure.detail());
}

void use_graph(FloatModel& model, ModelGraph graph) {
  model.label = graph.config.class_name;
  model.linears = linears_of(graph);
  model.graph = std::move(graph);
}

/// The graph of a known class when it is of use; what speaks against it is not an error here.
void use_graph_if_it_fits(FloatModel& model, const fs::path& folder) {
  std::optional<ModelGraph> graph;
  try {
    graph = model::read_graph(folder);
    model::check_tensors(*graph, *model.source);
  } catch (const Error& failure) {
    const bool damaged = graph.has_value() && is_damaged(model, *graph);
    if (damaged || failure.kind() == ErrorKind::internal) throw;
    model.by_name_because = reason_of(failure);
    return;
  }
  use_graph(model, *std::move(graph));
}

/// GPT-2's Conv1D keeps [inputs, outputs]; its c_attn gives queries, keys and values in one, so the
/// shape tells. Nothing in the shapes of its other linears does.
void refuse_transposed(const FloatModel& model) {
  for (const Module& linear : model.linears) {
    if (model::last_name(linear.name) != "c_attn" || linear.in() != 3 * linear.out()) continue;
    throw Error(ErrorCode::feature_not_supported,
                fmt::format("{} {} lies as [inputs, outputs], the way of GPT-2's Conv1D",
                            linear.source, linear.shape.text()))
        .at(model.source->file_of(linear.source))
        .hint("Pare quantizes [outputs, inputs]: scales and packing would be along the wrong axis");
  }
}

}  // namespace

FloatModel open_float_model(const fs::path& folder, GraphNeed need) {
  FloatModel model;
  model.source = open_float_weights(folder);
  const fs::path file = folder / "config.json";
  if (need == GraphNeed::forward) {
    ModelGraph graph = model::read_graph(folder);
    model::check_tensors(graph, *model.source);
    use_graph(model, std::move(graph));
    return model;
  }
  model.linears = linears_by_name(*model.source);
  refuse_transposed(model);
  model.label = "no config.json";
  if (!fs::exists(file)) return model;
  const io::Json json = model::read_config(folder);
  const model::ConfigReader config(json, file.string());
  model.label = model::architecture_label(config) + ", not known: weights only";
  if (model::find_architecture(config) == nullptr) return model;
  model.label = model::architecture_label(config) + ", weights only";
  use_graph_if_it_fits(model, folder);
  return model;
}

}  // namespace pare::pipeline
