#include "model/block.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/quantize.h"
#include "model/rope.h"
#include "pare/error.h"
#include "quant/affine.h"

namespace pare::model {
namespace {

/// x as the linear sees it: rounded into `rounded` when its input is quantized, x itself otherwise.
MatrixView<const float> round_input(const Context& ctx, const Linear& linear,
                                    MatrixView<const float> x, Matrix& rounded) {
  if (linear.activations == quant::Activations::none) return x;
  const quant::ActivationParams& input = linear.input;
  rounded.reshape(x.rows, x.cols);
  const MatrixView<float> out = rounded.view();
  ctx.parallel_for(x.rows, [&](std::int64_t t) {
    const std::span<float> row = out.row_span(t);
    std::copy_n(x.row(t), x.cols, row.data());
    if (linear.activations == quant::Activations::dynamic_token) {
      return quant::fake_quantize_token(row);
    }
    kernels::fake_quantize_row(row.data(), x.cols, input.scale, input.zero_point, -128, 127);
  });
  return out;
}

void multiply(const Context& ctx, const Linear& linear, MatrixView<const float> x,
              MatrixView<float> y) {
  kernels::matmul(ctx, x, linear.weight, y);
  if (!linear.bias.empty()) kernels::add_bias(ctx, y, linear.bias);
}

/// One of several products of the same input.
struct Product {
  const Linear* linear;
  Matrix* y;
};

bool round_alike(const Linear& a, const Linear& b) noexcept {
  return a.activations == b.activations && a.input == b.input;
}

/// With fewer rows a product streams the weight once; laying the rows out would gain nothing.
constexpr std::int64_t kRowsWorthPacking = 5;

/// Several linears of one input: it is rounded and laid out once where their parameters agree.
void apply_together(const Context& ctx, MatrixView<const float> x, Workspace& ws,
                    std::span<const Product> products) {
  const Linear* prepared_for = nullptr;
  MatrixView<const float> input = x;
  for (const auto& [of, y] : products) {
    const Linear& linear = *of;
    y->reshape(x.rows, linear.weight.out());
    const bool prepared = prepared_for != nullptr && round_alike(*prepared_for, linear);
    if (!prepared) input = round_input(ctx, linear, x, ws.rounded);
    if (x.rows < kRowsWorthPacking) {
      kernels::matmul(ctx, input, linear.weight, y->view());
    } else {
      if (!prepared) ws.packed.pack(ctx, input, linear.weight);
      kernels::matmul(ctx, ws.packed, linear.weight, y->view());
    }
    prepared_for = &linear;
    if (!linear.bias.empty()) kernels::add_bias(ctx, y->view(), linear.bias);
  }
}

/// hidden += linear(x).
void add_linear(const Context& ctx, const Linear& linear, MatrixView<const float> x, Workspace& ws,
                MatrixView<float> hidden) {
  const MatrixView<const float> input = round_input(ctx, linear, x, ws.rounded);
  if (linear.bias.empty()) return kernels::matmul_add(ctx, input, linear.weight, hidden);
  ws.product.reshape(x.rows, linear.weight.out());
  multiply(ctx, linear, input, ws.product.view());
  kernels::add_rows(ctx, hidden, ws.product.view());
}

void tap_sequences(const BlockRun& run, Site site, const Batch& batch, const Matrix& x) {
  if (run.tap == nullptr) return;
  std::int64_t row = 0;
  for (std::size_t s = 0; s < batch.lengths.size(); ++s) {
    run.tap->on_input(site, static_cast<std::int64_t>(s),
                      x.view().rows_from(row, batch.lengths[s]));
    row += batch.lengths[s];
  }
}

/// Every head of every row is a row of its own: the norm runs over head_dim.
void norm_heads(const Context& ctx, const ModelConfig& config, const Block& block, Role role,
                Matrix& x) {
  const auto norm = block.norms.find(role);
  if (norm == block.norms.end()) return;
  const std::int64_t head_dim = config.attention.head_dim;
  const std::int64_t heads = x.rows() * x.cols() / head_dim;
  const MatrixView<float> rows(x.values().data(), heads, head_dim);
  apply_norm(ctx, norm->second, config.rms_norm_eps, rows, rows);
}

/// Keys and values the queries may see: this sequence's own, behind those in the cache.
struct Visible {
  MatrixView<const float> keys;
  MatrixView<const float> values;
};

Visible append_to_cache(KvCache& cache, MatrixView<const float> k, MatrixView<const float> v) {
  for (std::int64_t t = 0; t < k.rows; ++t) {
    std::copy_n(k.row(t), k.cols, cache.keys.view().row(cache.used + t));
    std::copy_n(v.row(t), v.cols, cache.values.view().row(cache.used + t));
  }
  cache.used += k.rows;
  return {std::as_const(cache.keys).view().rows_from(0, cache.used),
          std::as_const(cache.values).view().rows_from(0, cache.used)};
}

void attend_sequence(const Context& ctx, const ModelConfig& config, const Block& block,
                     const BlockRun& run, Workspace& ws, std::int64_t row, std::int64_t length) {
  Visible seen{ws.k.view().rows_from(row, length), ws.v.view().rows_from(row, length)};
  if (run.cache != nullptr) seen = append_to_cache(*run.cache, seen.keys, seen.values);
  const AttentionConfig& a = config.attention;
  const kernels::AttentionShape shape{
      .heads = a.heads,
      .kv_heads = a.kv_heads,
      .head_dim = a.head_dim,
      .window = block.window,
      .scale = 1.0F / std::sqrt(static_cast<float>(a.head_dim)),
  };
  kernels::attention(ctx, shape, ws.q.view().rows_from(row, length), seen.keys, seen.values,
                     ws.attended.view().rows_from(row, length), run.compute);
}

/// Rotates queries and keys by their positions and attends, one sequence at a time.
void attend(const Context& ctx, const ModelConfig& config, const Block& block, const Batch& batch,
            const BlockRun& run, Workspace& ws) {
  norm_heads(ctx, config, block, Role::q_norm, ws.q);
  norm_heads(ctx, config, block, Role::k_norm, ws.k);
  ws.attended.reshape(ws.q.rows(), ws.q.cols());
  const std::int64_t head_dim = config.attention.head_dim;
  std::int64_t row = 0;
  for (const std::int64_t length : batch.lengths) {
    const std::int64_t first = run.cache != nullptr ? run.cache->used : 0;
    const RopeTable rope = make_rope_table(config, first, length);
    for (Matrix* x : {&ws.q, &ws.k}) {
      kernels::rope_half(ctx, x->view().rows_from(row, length), head_dim, rope.cos.view(),
                         rope.sin.view());
    }
    attend_sequence(ctx, config, block, run, ws, row, length);
    row += length;
  }
}

void attention_half(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                    const BlockRun& run, Workspace& ws) {
  ws.normed.reshape(batch.tokens(), config.hidden_size);
  apply_norm(ctx, block.norm(Role::input_norm), config.rms_norm_eps, batch.hidden.view(), ws.normed.view());
  tap_sequences(run, Site::attention_input, batch, ws.normed);
  apply_together(ctx, ws.normed.view(), ws,
                 std::array<Product, 3>{{{&block.linear(Role::q), &ws.q},
                                        {&block.linear(Role::k), &ws.k},
                                        {&block.linear(Role::v), &ws.v}}});
  attend(ctx, config, block, batch, run, ws);
  tap_sequences(run, Site::attention_output, batch, ws.attended);
  add_linear(ctx, block.linear(Role::o), ws.attended.view(), ws, batch.hidden.view());
}

void norm_before_mlp(const Context& ctx, const ModelConfig& config, const Block& block,
                     const Batch& batch, const BlockRun& run, Workspace& ws) {
  ws.normed.reshape(batch.tokens(), config.hidden_size);
  apply_norm(ctx, block.norm(Role::mlp_norm), config.rms_norm_eps, batch.hidden.view(), ws.normed.view());
  tap_sequences(run, Site::mlp_input, batch, ws.normed);
}

void mlp_half(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
              const BlockRun& run, Workspace& ws) {
  norm_before_mlp(ctx, config, block, batch, run, ws);
  apply_together(ctx, ws.normed.view(), ws,
                 std::array<Product, 2>{{{&block.linear(Role::gate), &ws.gate},
                                        {&block.linear(Role::up), &ws.up}}});
  kernels::silu_mul(ctx, ws.gate.view(), ws.up.view());
  tap_sequences(run, Site::mlp_hidden, batch, ws.gate);
  add_linear(ctx, block.linear(Role::down), ws.gate.view(), ws, batch.hidden.view());
}

/// The forward pass is LLaMA's; another kind of block must not run as one.
void require_llama_shape(const ModelGraph& graph) {
  const BlockSpec& spec = graph.spec;
  const char* what = spec.norm != NormKind::rms                    ? "LayerNorm"
                     : spec.residual != ResidualOrder::serial      ? "parallel attention and MLP"
                     : spec.mlp == MlpKind::plain                  ? "MLPs without a gate"
                     : spec.mlp == MlpKind::experts                ? "mixtures of experts"
                     : spec.fused_qkv ? "one module for queries, keys and values"
                                      : nullptr;
  if (what == nullptr) return;
  throw Error(ErrorCode::feature_not_supported, fmt::format("running blocks with {}", what))
      .at(graph.config.class_name)
      .hint("schemes that need no calibration data work without running the model");
}

}  // namespace

Linear pack_linear(const Context& ctx, const quant::FloatLinear& linear, kernels::Compute compute) {
  Linear packed;
  packed.weight = kernels::PackedWeight(ctx, linear.weight, compute);
  if (linear.bias.has_value()) packed.bias = read_floats(*linear.bias);
  packed.activations = linear.activations;
  packed.input = linear.input;
  return packed;
}

void apply_linear(const Context& ctx, const Linear& linear, MatrixView<const float> x,
                  MatrixView<float> y) {
  Matrix rounded;
  multiply(ctx, linear, round_input(ctx, linear, x, rounded), y);
}

Block load_block(const Context& ctx, const ModelGraph& graph, std::int64_t index,
                 const WeightSource& weights, kernels::Compute compute) {
  require_llama_shape(graph);
  Block block;
  for (const Module& module : graph.block(index)) {
    if (module.kind != ModuleKind::linear) {
      block.norms.emplace(*module.role, load_norm(weights, module.name));
      continue;
    }
    block.linears.emplace(std::pair(*module.role, module.expert),
                          pack_linear(ctx, weights.linear(ctx, module), compute));
    weights.release(module);
  }
  block.window = graph.config.windows[static_cast<std::size_t>(index)];
  return block;
}

std::size_t block_bytes(std::span<const Module> block, kernels::Compute compute) {
  std::size_t bytes = 0;
  for (const Module& module : block) {
    if (!module.multiplies()) continue;
    bytes += kernels::packed_bytes(module.out(), module.in(), compute);
  }
  return bytes;
}

void forward_block(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                   const BlockRun& run, Workspace& workspace) {
  attention_half(ctx, config, block, batch, run, workspace);
  mlp_half(ctx, config, block, batch, run, workspace);
}

void forward_to_mlp(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                    const BlockRun& run, Workspace& workspace) {
  attention_half(ctx, config, block, batch, run, workspace);
  norm_before_mlp(ctx, config, block, batch, run, workspace);
}

void forward_block(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                   const BlockRun& run) {
  Workspace workspace;
  forward_block(ctx, config, block, batch, run, workspace);
}

std::size_t forward_bytes(const ModelConfig& config, std::int64_t tokens, int threads,
                          kernels::Compute compute) {
  const AttentionConfig& a = config.attention;
  const std::int64_t widest = std::max(config.intermediate_size, a.heads * a.head_dim);
  const std::int64_t floats = config.hidden_size + 2 * (a.heads + a.kv_heads) * a.head_dim +
                              2 * config.intermediate_size + widest;  // the last one: rounded
  const auto packed = static_cast<std::size_t>(tokens * config.hidden_size) *
                      (compute == kernels::Compute::bf16 ? 2 : 4);
  return static_cast<std::size_t>(tokens * floats) * sizeof(float) + packed +
         kernels::matmul_scratch_bytes(tokens, widest, threads, compute);
}

}  // namespace pare::model
