#include "model/block.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/quantize.h"
#include "model/rope.h"
#include "quant/affine.h"

namespace pare::model {
namespace {

/// x as the linear sees it: rounded into `rounded` when its input is quantized, x itself otherwise.
MatrixView<const float> round_input(const Context& ctx, const ActivationQuant& input,
                                    MatrixView<const float> x, Matrix& rounded) {
  if (input.kind == quant::Activations::none) return x;
  if (rounded.rows() != x.rows || rounded.cols() != x.cols) {
    rounded = Matrix(x.rows, x.cols);
  }
  const MatrixView<float> out = rounded.view();
  ctx.parallel_for(x.rows, [&](std::int64_t t) {
    const std::span<float> row = out.row_span(t);
    std::copy_n(x.row(t), x.cols, row.data());
    if (input.kind == quant::Activations::dynamic_token) return quant::fake_quantize_token(row);
    kernels::fake_quantize_row(row.data(), x.cols, input.scale, input.zero_point, -128, 127);
  });
  return out;
}

void multiply(const Context& ctx, const Linear& linear, MatrixView<const float> x,
              MatrixView<float> y) {
  kernels::matmul(ctx, x, linear.weight, y);
  if (!linear.bias.empty()) kernels::add_bias(ctx, y, linear.bias);
}

struct Output {
  const Linear* linear;
  Matrix* y;
};

/// Several linears of one input; the rounding is done once where their parameters agree.
void apply_together(const Context& ctx, MatrixView<const float> x, std::span<const Output> outputs) {
  Matrix rounded;
  const ActivationQuant* rounded_for = nullptr;
  MatrixView<const float> input = x;
  for (const Output& output : outputs) {
    if (rounded_for == nullptr || !(*rounded_for == output.linear->input)) {
      input = round_input(ctx, output.linear->input, x, rounded);
      rounded_for = &output.linear->input;
    }
    *output.y = Matrix(x.rows, output.linear->weight.out());
    multiply(ctx, *output.linear, input, output.y->view());
  }
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
void norm_heads(const Context& ctx, const ModelConfig& config, std::span<const float> weight,
                Matrix& x) {
  if (weight.empty()) return;
  const std::int64_t head_dim = config.attention.head_dim;
  const std::int64_t heads = x.rows() * x.cols() / head_dim;
  const MatrixView<float> rows(x.values().data(), heads, head_dim);
  kernels::rms_norm(ctx, rows, weight, config.rms_norm_eps, rows);
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

struct Qkv {
  Matrix q, k, v;
};

void attend_sequence(const Context& ctx, const ModelConfig& config, const Block& block,
                     const BlockRun& run, const Qkv& qkv, std::int64_t row, std::int64_t length,
                     Matrix& out) {
  Visible seen{qkv.k.view().rows_from(row, length), qkv.v.view().rows_from(row, length)};
  if (run.cache != nullptr) seen = append_to_cache(*run.cache, seen.keys, seen.values);
  const AttentionConfig& a = config.attention;
  const kernels::AttentionShape shape{
      .heads = a.heads,
      .kv_heads = a.kv_heads,
      .head_dim = a.head_dim,
      .window = block.window,
      .scale = 1.0F / std::sqrt(static_cast<float>(a.head_dim)),
  };
  kernels::attention(ctx, shape, qkv.q.view().rows_from(row, length), seen.keys, seen.values,
                     out.view().rows_from(row, length), run.compute);
}

/// Rotates queries and keys by their positions and attends, one sequence at a time.
Matrix attend(const Context& ctx, const ModelConfig& config, const Block& block, const Batch& batch,
              const BlockRun& run, Qkv& qkv) {
  norm_heads(ctx, config, block.q_norm, qkv.q);
  norm_heads(ctx, config, block.k_norm, qkv.k);
  Matrix out(qkv.q.rows(), qkv.q.cols());
  const std::int64_t head_dim = config.attention.head_dim;
  std::int64_t row = 0;
  for (const std::int64_t length : batch.lengths) {
    const std::int64_t first = run.cache != nullptr ? run.cache->used : 0;
    const RopeTable rope = make_rope_table(config, first, length);
    kernels::rope_half(ctx, qkv.q.view().rows_from(row, length), head_dim, rope.cos.view(),
                       rope.sin.view());
    kernels::rope_half(ctx, qkv.k.view().rows_from(row, length), head_dim, rope.cos.view(),
                       rope.sin.view());
    attend_sequence(ctx, config, block, run, qkv, row, length, out);
    row += length;
  }
  return out;
}

void attention_half(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                    const BlockRun& run) {
  Matrix x(batch.tokens(), config.hidden_size);
  kernels::rms_norm(ctx, batch.hidden.view(), block.input_norm, config.rms_norm_eps, x.view());
  tap_sequences(run, Site::attention_input, batch, x);
  Qkv qkv;
  apply_together(ctx, x.view(),
                 std::array<Output, 3>{{{&block.linear(LinearRole::q), &qkv.q},
                                        {&block.linear(LinearRole::k), &qkv.k},
                                        {&block.linear(LinearRole::v), &qkv.v}}});
  const Matrix attended = attend(ctx, config, block, batch, run, qkv);
  tap_sequences(run, Site::attention_output, batch, attended);
  apply_linear(ctx, block.linear(LinearRole::o), attended.view(), x.view());
  kernels::add_rows(ctx, batch.hidden.view(), x.view());
}

void mlp_half(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
              const BlockRun& run) {
  Matrix x(batch.tokens(), config.hidden_size);
  kernels::rms_norm(ctx, batch.hidden.view(), block.mlp_norm, config.rms_norm_eps, x.view());
  tap_sequences(run, Site::mlp_input, batch, x);
  Matrix gate;
  Matrix up;
  apply_together(ctx, x.view(),
                 std::array<Output, 2>{{{&block.linear(LinearRole::gate), &gate},
                                        {&block.linear(LinearRole::up), &up}}});
  kernels::silu_mul(ctx, gate.view(), up.view());
  tap_sequences(run, Site::mlp_hidden, batch, gate);
  apply_linear(ctx, block.linear(LinearRole::down), gate.view(), x.view());
  kernels::add_rows(ctx, batch.hidden.view(), x.view());
}

}  // namespace

Linear pack_linear(const Context& ctx, const LinearWeights& weights, kernels::Compute compute) {
  return {kernels::PackedWeight(ctx, weights.weight, compute), weights.bias, weights.input};
}

void apply_linear(const Context& ctx, const Linear& linear, MatrixView<const float> x,
                  MatrixView<float> y) {
  Matrix rounded;
  multiply(ctx, linear, round_input(ctx, linear.input, x, rounded), y);
}

Block load_block(const Context& ctx, const ModelGraph& graph, std::int64_t index,
                 const WeightSource& weights, kernels::Compute compute) {
  const BlockNames& names = graph.blocks[static_cast<std::size_t>(index)];
  Block block;
  for (const LinearRole role : kLinearRoles) {
    block.linear(role) = pack_linear(ctx, weights.linear(ctx, names.linear(role)), compute);
    weights.release(names.linear(role));
  }
  const auto norm = [&](const std::string& module) {
    return module.empty() ? std::vector<float>{} : read_floats(weights.tensor(module + ".weight"));
  };
  block.input_norm = norm(names.input_norm);
  block.mlp_norm = norm(names.mlp_norm);
  block.q_norm = norm(names.q_norm);
  block.k_norm = norm(names.k_norm);
  block.window = graph.config.windows[static_cast<std::size_t>(index)];
  return block;
}

std::size_t block_bytes(const ModelConfig& config, kernels::Compute compute) {
  std::size_t bytes = 0;
  for (const LinearRole role : kLinearRoles) {
    const LinearShape shape = linear_shape(config, role);
    bytes += kernels::packed_bytes(shape.out, shape.in, compute);
  }
  return bytes;
}

void forward_block(const Context& ctx, const ModelConfig& config, const Block& block, Batch& batch,
                   const BlockRun& run) {
  attention_half(ctx, config, block, batch, run);
  mlp_half(ctx, config, block, batch, run);
}

std::size_t forward_bytes(const ModelConfig& config, std::int64_t tokens) {
  const AttentionConfig& a = config.attention;
  const std::int64_t attention_floats = 2 * (a.heads + a.kv_heads) * a.head_dim;
  const std::int64_t mlp_floats = 3 * config.intermediate_size;  // gate, up, gate rounded
  const std::int64_t widest = std::max(attention_floats, mlp_floats) + 3 * config.hidden_size;
  return static_cast<std::size_t>(tokens * widest) * sizeof(float);
}

}  // namespace pare::model
