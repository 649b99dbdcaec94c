// Opens what users point at: a float checkpoint or a folder that `pare quantize` wrote.
#pragma once

#include "containers/tensor_source.h"
#include "layouts/layout.h"
#include "model/transformer.h"

#include <filesystem>
#include <memory>
#include <string>

namespace pare::pipeline {

/// A model folder, ready to run. Not movable: parts point at each other.
class OpenModel {
 public:
  /// Errors: file_not_found, unknown_architecture, bad_config and those of the containers.
  OpenModel(const std::filesystem::path& folder, kernels::Compute compute);
  ~OpenModel();
  OpenModel(const OpenModel&) = delete;
  OpenModel& operator=(const OpenModel&) = delete;

  const model::Model& model() const noexcept { return model_; }
  const model::ModelGraph& graph() const noexcept { return graph_; }
  const std::filesystem::path& folder() const noexcept { return folder_; }
  /// "float" or the id of the layout that wrote it.
  const std::string& kind() const noexcept { return kind_; }

 private:
  std::filesystem::path folder_;
  std::string kind_;
  model::ModelGraph graph_;
  std::unique_ptr<containers::TensorSource> source_;
  std::unique_ptr<layout::QuantizedCheckpoint> quantized_;
  std::unique_ptr<model::WeightSource> weights_;
  model::Model model_;
};

/// auto: f32 for judging (eval, compare, generate).
kernels::Compute parse_compute(const std::string& word, kernels::Compute if_auto);

}  // namespace pare::pipeline
