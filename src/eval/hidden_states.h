// Sequences through all blocks in groups that fit a memory limit, then their rows piece by piece.
#pragma once

#include "model/transformer.h"
#include "pare/context.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pare::eval {

using Sequences = std::span<const std::vector<text::TokenId>>;

/// Consecutive sequences whose hidden states, with the work of a forward pass, fit `bytes`; every
/// group has at least one sequence.
std::vector<Sequences> split_into_groups(const Context& ctx, const model::Model& model,
                                         Sequences sequences, std::size_t bytes);

/// Reports one step per block and one for the head, over all groups and models.
class Steps {
 public:
  Steps(const Context& ctx, std::string stage, std::int64_t total)
      : ctx_(ctx), stage_(std::move(stage)), total_(total) {}
  void begin(const std::string& item) { ctx_.progress({stage_, item, done_++, total_, ""}); }
  void finish() { ctx_.progress({stage_, "", total_, total_, ""}); }

 private:
  const Context& ctx_;
  std::string stage_;
  std::int64_t done_ = 0;
  std::int64_t total_;
};

/// Steps that hidden_states and one pass over the rows take for each of `groups` groups.
std::int64_t steps_of(const model::Model& model, std::size_t groups);

/// The states of a group after the last block, as batches of whole sequences in order.
std::vector<model::Batch> hidden_states(const Context& ctx, const model::Model& model,
                                        Sequences group, Steps& steps);

/// Up to 128 rows of one batch; `first_row` counts over all rows of the group.
struct Piece {
  std::size_t batch = 0;
  std::int64_t first = 0;  // row in the batch
  std::int64_t rows = 0;
  std::int64_t first_row = 0;
};
std::vector<Piece> pieces_of(std::span<const model::Batch> batches);

}  // namespace pare::eval
