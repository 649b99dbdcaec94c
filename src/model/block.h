// One decoder block in memory, and its forward pass over a batch of sequences.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "kernels/gemm.h"
#include "model/graph.h"
#include "model/norm.h"
#include "model/weights.h"
#include "pare/context.h"
#include "pare/tensor.h"

namespace pare::model {

/// A linear ready to run.
struct Linear {
  kernels::PackedWeight weight;
  std::vector<float> bias;  // empty = none
  quant::Activations activations = quant::Activations::none;
  quant::ActivationParams input;
};

Linear pack_linear(const Context& ctx, const quant::FloatLinear& linear, kernels::Compute compute);

/// y [T, O] = input-rounded x [T, I] · Wᵀ + bias.
void apply_linear(const Context& ctx, const Linear& linear, MatrixView<const float> x,
                  MatrixView<float> y);

/// The modules of a block by their roles.
struct Block {
  std::map<std::pair<Role, std::int64_t>, Linear> linears;  // by role and expert
  std::map<Role, Norm> norms;
  std::int64_t window = 0;

  /// The block must have it.
  Linear& linear(const Module& module) { return linear(*module.role, module.expert); }
  Linear& linear(Role role, std::int64_t expert = kNoExpert) { return linears.at({role, expert}); }
  const Linear& linear(Role role, std::int64_t expert = kNoExpert) const {
    return linears.at({role, expert});
  }
  const Norm& norm(Role role) const { return norms.at(role); }
};

/// Loads and packs block `index`; mapped pages are given back as soon as they are packed.
/// Errors: tensor_missing; feature_not_supported for a block that the forward pass cannot run.
Block load_block(const Context& ctx, const ModelGraph& graph, std::int64_t index,
                 const WeightSource& weights, kernels::Compute compute);

/// Memory of one packed block in bytes, known before loading it.
std::size_t block_bytes(std::span<const Module> block, kernels::Compute compute);

/// Hidden states of several sequences, one after the other in the rows of one matrix, so that the
/// products see many rows while attention stays inside each sequence.
struct Batch {
  Matrix hidden;                       // [sum of lengths, D]
  std::vector<std::int64_t> lengths;   // tokens of each sequence

  std::int64_t tokens() const noexcept { return hidden.rows(); }
};

/// Keys and values of the tokens already seen, for generation; one sequence.
struct KvCache {
  Matrix keys;    // [capacity, K*D]
  Matrix values;  // [capacity, K*D]
  std::int64_t used = 0;
};

/// Sees what each linear of a block is given. Called once per site and sequence, in the order of
/// the sequences, with all tokens of the sequence.
class BlockTap {
 public:
  virtual ~BlockTap() = default;
  virtual void on_input(Site site, std::int64_t sequence, MatrixView<const float> x) = 0;
};

/// Buffers that one forward pass leaves to the next, so that they are made once.
struct Workspace {
  Matrix normed, q, k, v, attended, gate, up, rounded, product;
  kernels::PackedInput packed;
};

struct BlockRun {
  kernels::Compute compute = kernels::Compute::f32;
  BlockTap* tap = nullptr;      // may be null
  KvCache* cache = nullptr;     // may be null; then every sequence starts at position 0
};

/// hidden becomes the block's output. Rows are independent of how sequences are batched.
void forward_block(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                   const BlockRun& run, Workspace& workspace);
void forward_block(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                   const BlockRun& run);

/// The first half of forward_block: hidden becomes what the norm of the MLP reads. The tap sees the
/// sites up to Site::mlp_input.
void forward_to_mlp(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                    const BlockRun& run, Workspace& workspace);

/// What a Workspace and the kernels' own buffers come to for batches of `tokens` rows, in bytes.
std::size_t forward_bytes(const ModelConfig& config, std::int64_t tokens, int threads,
                          kernels::Compute compute);

}  // namespace pare::model
