// What a model folder is, from headers alone; optionally a scan of every value.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pare/check.h"
#include "pare/context.h"
#include "containers/tensor_source.h"
#include "model/graph.h"
#include "pipeline/open/linear_selection.h"

namespace pare::pipeline {

struct Inspection {
  std::string model_label;
  std::optional<model::ModelGraph> graph;
  std::string graph_problem;   // why there is no graph, or "" when there is
  std::string quantized;       // "42 linears as w8a8s, format ascend"; "" for a float model
  std::shared_ptr<const containers::TensorSource> source;
  std::optional<PackedSizes> packed;  // of a folder that `pare compress` made
  std::vector<model::Module> linears;
  std::vector<SchemeSize> sizes;
  std::vector<ValueProblem> problems;  // only of a scan
  bool scanned = false;
  std::int64_t parameters = 0;
  std::size_t bytes = 0;
  bool tied_head = false;
};

/// Errors: those of opening the checkpoint. A folder whose architecture is unknown is no error.
Inspection inspect(const Context& ctx, const std::filesystem::path& model, bool scan);

}  // namespace pare::pipeline
