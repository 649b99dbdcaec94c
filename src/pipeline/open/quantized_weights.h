// A quantized checkpoint as a source of weights to compute with: what is measured is what the
// files hold.
#pragma once

#include "layouts/layout.h"
#include "model/graph.h"
#include "model/weights.h"

#include <memory>
#include <set>
#include <string>

namespace pare::pipeline {

/// Linears are dequantized to f32 when asked for; their inputs are rounded as the files say.
/// Threads: as model::WeightSource.
class QuantizedWeights final : public model::WeightSource {
 public:
  /// Checks that the checkpoint holds every module of the graph, float tensors in their shapes, and
  /// nothing else. Both must outlive this object.
  /// Errors: tensor_missing, tensor_mismatch, bad_config (something left over).
  QuantizedWeights(const layout::QuantizedCheckpoint& checkpoint, const model::ModelGraph& graph);

  /// Errors: tensor_missing; tensor_mismatch when the shape is not the graph's.
  quant::FloatLinear linear(const Context& ctx, const model::Module& module) const override;
  TensorView tensor(const std::string& name) const override;
  TensorView rows(const std::string& name, std::int64_t first, std::int64_t count) const override;
  /// "lm_head.weight" is there when lm_head is quantized, too.
  bool has(const std::string& name) const override;
  void release(const std::string& name) const noexcept override;
  void release(const model::Module& module) const noexcept override;

 private:
  void expect_linear(const model::Module& module);
  void expect_norm(const model::Module& module);
  void expect_head(const model::Module& head);
  void expect_tensor(const std::string& name, const Shape& shape);
  void refuse_leftovers() const;

  const layout::QuantizedCheckpoint& checkpoint_;
  std::shared_ptr<const containers::TensorSource> stored_;
  std::set<std::string> floats_;
  std::set<std::string> linears_;
  std::set<std::string> expected_;  // names that have a place in the model
};

}  // namespace pare::pipeline
