// The whole decoder, block by block: embedding, blocks streamed or kept, head.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/gemm.h"
#include "model/block.h"
#include "model/graph.h"
#include "model/weights.h"
#include "pare/context.h"

namespace pare::model {

/// A model that can be run: graph, weights, arithmetic. Holds references; their owner outlives it.
struct Model {
  const ModelGraph* graph = nullptr;
  const WeightSource* weights = nullptr;
  kernels::Compute compute = kernels::Compute::f32;
};

/// Embedding rows of the tokens of several sequences.
/// Errors: token_out_of_range.
Batch embed(const Model& model, std::span<const std::vector<std::int32_t>> sequences);

/// The head and the norm before it, packed: logits of hidden states.
class Head {
 public:
  Head(const Context& ctx, const Model& model);
  /// Shapes: hidden [T, D] (before the final norm) -> logits [T, V].
  void logits(const Context& ctx, MatrixView<const float> hidden, MatrixView<float> out) const;
  std::int64_t vocab_size() const noexcept { return linear_.weight.out(); }

 private:
  Norm norm_;
  float eps_;
  Linear linear_;
};

/// Shows a tap what the head reads: the final norm of hidden states behind the last block, one
/// sequence after the other, as Site::attention_input.
void tap_head(const Context& ctx, const Model& model, const Batch& batch, BlockTap& tap);

/// Runs batches through all blocks; blocks are loaded once each and freed, in order.
/// `on_block` (may be empty) is called before each block with its index.
void forward_streamed(const Context& ctx, const Model& model, std::span<Batch> batches,
                      const std::function<void(std::int64_t)>& on_block);

/// A model held in memory as a whole, for token by token generation.
class ResidentModel {
 public:
  ResidentModel(const Context& ctx, const Model& model, std::int64_t capacity);
  /// Logits [V] after feeding `tokens` behind everything fed before.
  /// Errors: token_out_of_range; bad_usage when more than `capacity` tokens are fed.
  std::vector<float> feed(const Context& ctx, std::span<const std::int32_t> tokens);
  std::int64_t position() const noexcept { return position_; }

 private:
  Model model_;
  std::vector<Block> blocks_;
  std::vector<KvCache> caches_;
  Head head_;
  Workspace workspace_;
  std::int64_t capacity_;
  std::int64_t position_ = 0;
};

}  // namespace pare::model
