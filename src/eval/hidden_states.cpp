#include "eval/hidden_states.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::eval {
namespace {

/// Tokens that go through a block together: enough for full speed, little enough working memory.
constexpr std::int64_t kBatchTokens = 2048;
/// Rows of logits made at a time: 128 rows of 150,000 words are 77 MB.
constexpr std::int64_t kPieceRows = 128;

std::int64_t length_of(const std::vector<text::TokenId>& sequence) {
  return static_cast<std::int64_t>(sequence.size());
}

/// How many sequences from `first` on have at most `tokens` tokens together; at least one.
std::size_t count_that_fit(Sequences sequences, std::size_t first, std::int64_t tokens) {
  std::int64_t sum = length_of(sequences[first]);
  std::size_t end = first + 1;
  while (end < sequences.size() && sum + length_of(sequences[end]) <= tokens) {
    sum += length_of(sequences[end++]);
  }
  return end - first;
}

std::vector<Sequences> split(Sequences sequences, std::int64_t tokens) {
  std::vector<Sequences> parts;
  for (std::size_t first = 0; first < sequences.size(); first += parts.back().size()) {
    parts.push_back(sequences.subspan(first, count_that_fit(sequences, first, tokens)));
  }
  return parts;
}

}  // namespace

std::vector<Sequences> split_into_groups(const Context& ctx, const model::Model& model,
                                         Sequences sequences, std::size_t bytes) {
  const model::ModelConfig& config = model.graph->config;
  const std::size_t work = model::forward_bytes(config, kBatchTokens, ctx.threads(), model.compute);
  const std::size_t left = bytes > work ? bytes - work : 0;
  const std::size_t row = static_cast<std::size_t>(config.hidden_size) * sizeof(float);
  return split(sequences, static_cast<std::int64_t>(left / row));
}

std::int64_t steps_of(const model::Model& model, std::size_t groups) {
  return (model.graph->config.layers + 1) * static_cast<std::int64_t>(groups);
}

std::vector<model::Batch> hidden_states(const Context& ctx, const model::Model& model,
                                        Sequences group, Steps& steps) {
  std::vector<model::Batch> batches;
  for (const Sequences part : split(group, kBatchTokens)) {
    batches.push_back(model::embed(model, part));
  }
  model::forward_streamed(ctx, model, batches,
                          [&](std::int64_t block) { steps.begin(fmt::format("block {}", block)); });
  return batches;
}

std::vector<Piece> pieces_of(std::span<const model::Batch> batches) {
  std::vector<Piece> pieces;
  std::int64_t offset = 0;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    const std::int64_t rows = batches[b].tokens();
    for (std::int64_t first = 0; first < rows; first += kPieceRows) {
      pieces.push_back({b, first, std::min(kPieceRows, rows - first), offset + first});
    }
    offset += rows;
  }
  return pieces;
}

}  // namespace pare::eval
