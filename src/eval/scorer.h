// What perplexity and comparison share: which rows are judged by which token, and their logits.
#pragma once

#include "eval/hidden_states.h"
#include "eval/perplexity.h"
#include "model/transformer.h"
#include "pare/context.h"

#include <cstdint>
#include <span>
#include <vector>

namespace pare::eval {

/// Target of a row whose logits do not count.
inline constexpr text::TokenId kNotScored = -1;

/// For every row of a group of windows the token that its logits are judged by.
std::vector<text::TokenId> targets_of(Sequences group, std::int64_t first_target);

/// The targets of a piece's rows, or an empty span when none of them is scored.
std::span<const text::TokenId> scored_targets(std::span<const text::TokenId> targets,
                                              const Piece& piece);

/// Tokens that all windows together score.
std::int64_t scored_tokens(const Windows& windows) noexcept;

/// Errors: not_finite.
void require_finite(double value);

/// Perplexity from the nll of every scored token.
Perplexity perplexity_of(const Windows& windows, std::span<const double> nll);

/// A model's head, and the room for the logits of one piece.
class Scorer {
 public:
  Scorer(const Context& ctx, const model::Model& model) : head_(ctx, model) {}

  /// Logits of the piece's rows, valid until the next call.
  MatrixView<const float> score(const Context& ctx, const std::vector<model::Batch>& batches,
                                const Piece& piece);

 private:
  model::Head head_;
  Matrix logits_;
};

}  // namespace pare::eval
