// What Pare knows of a float model: its modules and how they work together, or its linears alone.
#pragma once

#include "containers/tensor_source.h"
#include "model/graph.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pare::pipeline {

struct FloatModel {
  std::shared_ptr<const containers::TensorSource> source;
  std::optional<model::ModelGraph> graph;  // nullopt: the linears are told by name and shape
  std::string label;                       // "LlamaForCausalLM"
  /// What kept a graph of a known class from being used, for a warning; "" when nothing did.
  std::string by_name_because;
  std::vector<model::Module> linears;  // in the order of registration, heads last
};

/// What the work will ask of the graph.
enum class GraphNeed {
  none,    // nothing: what config.json leaves open, or says of features not known, is no obstacle
  forward  // a forward pass: everything must be known and fit
};

/// Errors: those of open_float_weights; bad_json and bad_config of a config.json that is no object;
///         tensor_missing, tensor_mismatch, bad_config when the weights are a damaged copy of what
///         config.json describes; feature_not_supported when weights lie transposed (GPT-2); with
///         GraphNeed::forward also those of model::read_graph.
FloatModel open_float_model(const std::filesystem::path& folder, GraphNeed need);

}  // namespace pare::pipeline
