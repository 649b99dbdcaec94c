#include "model/transformer.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare::model {

namespace {

/// A token, and the row of a batch that it becomes.
struct TokenPlace {
  std::int32_t id = 0;
  std::int64_t row = 0;
};

/// In the order of the embedding, so that it is gone through once.
std::vector<TokenPlace> sorted_tokens(std::span<const std::vector<std::int32_t>> sequences,
                                      std::int64_t vocab_size) {
  std::vector<TokenPlace> places;
  for (const auto& sequence : sequences) {
    for (const std::int32_t id : sequence) {
      if (id < 0 || id >= vocab_size) {
        throw Error(ErrorCode::token_out_of_range,
                    fmt::format("id {} in a vocabulary of {}", id, vocab_size))
            .hint("the tokenizer or the token file belongs to another model");
      }
      places.push_back({id, static_cast<std::int64_t>(places.size())});
    }
  }
  std::sort(places.begin(), places.end(), [](const TokenPlace& a, const TokenPlace& b) {
    return std::pair(a.id, a.row) < std::pair(b.id, b.row);
  });
  return places;
}

}  // namespace

Batch embed(const Model& model, std::span<const std::vector<std::int32_t>> sequences) {
  const ModelConfig& config = model.graph->config;
  const std::string name = model.graph->module(Role::embedding).weight_name();
  Batch batch;
  for (const auto& sequence : sequences)
    batch.lengths.push_back(static_cast<std::int64_t>(sequence.size()));
  const std::vector<TokenPlace> places = sorted_tokens(sequences, config.vocab_size);
  batch.hidden = Matrix(static_cast<std::int64_t>(places.size()), config.hidden_size);
  // A row brings the pages around it into memory: few rows would bring in the whole embedding.
  constexpr std::int64_t kFloatsInHand = std::int64_t{1} << 21;
  const std::int64_t rows_in_hand = std::max<std::int64_t>(1, kFloatsInHand / config.hidden_size);
  std::int64_t reached = rows_in_hand;
  for (const TokenPlace& place : places) {
    if (place.id >= reached) {
      model.weights->release(name);
      reached = place.id + rows_in_hand;
    }
    read_floats(model.weights->rows(name, place.id, 1), 0, batch.hidden.view().row_span(place.row));
  }
  model.weights->release(name);
  return batch;
}

Head::Head(const Context& ctx, const Model& model)
    : norm_(load_norm(*model.weights, model.graph->module(Role::final_norm).name)),
      eps_(model.graph->config.rms_norm_eps) {
  const Module& module = model.graph->module(Role::head);
  linear_ = pack_linear(ctx, model.weights->linear(ctx, module), model.compute);
  model.weights->release(module);
}

void Head::logits(const Context& ctx, MatrixView<const float> hidden, MatrixView<float> out) const {
  Matrix x(hidden.rows, hidden.cols);
  apply_norm(ctx, norm_, eps_, hidden, x.view());
  apply_linear(ctx, linear_, x.view(), out);
}

void tap_head(const Context& ctx, const Model& model, const Batch& batch, BlockTap& tap) {
  const ModelGraph& graph = *model.graph;
  const Norm norm = load_norm(*model.weights, graph.module(Role::final_norm).name);
  std::int64_t row = 0;
  for (const std::int64_t length : batch.lengths) {
    Matrix x(length, batch.hidden.cols());
    apply_norm(ctx, norm, graph.config.rms_norm_eps, batch.hidden.view().rows_from(row, length),
               x.view());
    tap.on_input(Site::attention_input, 0, std::as_const(x).view());
    row += length;
  }
}

void forward_streamed(const Context& ctx, const Model& model, std::span<Batch> batches,
                      const std::function<void(std::int64_t)>& on_block) {
  const ModelConfig& config = model.graph->config;
  Workspace workspace;
  for (std::int64_t i = 0; i < config.layers; ++i) {
    if (on_block) on_block(i);
    const Block block = load_block(ctx, *model.graph, i, *model.weights, model.compute);
    for (Batch& batch : batches) {
      ctx.check_cancelled();
      forward_block(ctx, config, block, batch, {.compute = model.compute}, workspace);
    }
  }
}

ResidentModel::ResidentModel(const Context& ctx, const Model& model, std::int64_t capacity)
    : model_(model), head_(ctx, model), capacity_(capacity) {
  const ModelConfig& config = model.graph->config;
  const std::int64_t width = config.attention.kv_heads * config.attention.head_dim;
  for (std::int64_t i = 0; i < config.layers; ++i) {
    blocks_.push_back(load_block(ctx, *model.graph, i, *model.weights, model.compute));
    caches_.push_back({Matrix(capacity, width), Matrix(capacity, width), 0});
  }
}

std::vector<float> ResidentModel::feed(const Context& ctx, std::span<const std::int32_t> tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (count == 0 || position_ + count > capacity_) {
    throw Error(ErrorCode::bad_usage, fmt::format("{} more tokens behind {} do not fit in {}",
                                                  count, position_, capacity_));
  }
  const std::vector<std::int32_t> sequence(tokens.begin(), tokens.end());
  Batch batch = embed(model_, std::span(&sequence, 1));
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    ctx.check_cancelled();
    forward_block(ctx, model_.graph->config, blocks_[i], batch,
                  {.compute = model_.compute, .cache = &caches_[i]}, workspace_);
  }
  position_ += count;
  std::vector<float> logits(static_cast<std::size_t>(head_.vocab_size()));
  head_.logits(ctx, batch.hidden.view().rows_from(count - 1, 1),
               MatrixView<float>(logits.data(), 1, head_.vocab_size()));
  return logits;
}

}  // namespace pare::model
