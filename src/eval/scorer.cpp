#include "eval/scorer.h"

#include "eval/statistics.h"
#include "pare/error.h"

#include <algorithm>
#include <cmath>

namespace pare::eval {

std::vector<text::TokenId> targets_of(Sequences group, std::int64_t first_target) {
  std::vector<text::TokenId> targets;
  for (const std::vector<text::TokenId>& window : group) {
    for (std::size_t t = 1; t <= window.size(); ++t) {
      const bool scored = t < window.size() && static_cast<std::int64_t>(t) >= first_target;
      targets.push_back(scored ? window[t] : kNotScored);
    }
  }
  return targets;
}

std::span<const text::TokenId> scored_targets(std::span<const text::TokenId> targets,
                                              const Piece& piece) {
  const auto part = targets.subspan(static_cast<std::size_t>(piece.first_row),
                                    static_cast<std::size_t>(piece.rows));
  const bool any = std::any_of(part.begin(), part.end(), [](auto id) { return id != kNotScored; });
  return any ? part : std::span<const text::TokenId>{};
}

std::int64_t scored_tokens(const Windows& windows) noexcept {
  return static_cast<std::int64_t>(windows.ids.size()) * (windows.context - windows.first_target);
}

void require_finite(double value) {
  if (std::isfinite(value)) return;
  throw Error(ErrorCode::not_finite, "the model's logits hold NaN or infinity")
      .hint("`pare inspect MODEL --scan` finds damaged weights");
}

Perplexity perplexity_of(const Windows& windows, std::span<const double> nll) {
  const MeanError mean = mean_error(nll);
  Perplexity result;
  result.nll = mean.mean;
  result.perplexity = std::exp(mean.mean);
  result.stderr_ = result.perplexity * mean.standard_error;
  result.windows = static_cast<std::int64_t>(windows.ids.size());
  result.tokens = static_cast<std::int64_t>(nll.size());
  return result;
}

MatrixView<const float> Scorer::score(const Context& ctx, const std::vector<model::Batch>& batches,
                                      const Piece& piece) {
  if (logits_.rows() < piece.rows) logits_ = Matrix(piece.rows, head_.vocab_size());
  const MatrixView<float> out = logits_.view().rows_from(0, piece.rows);
  const MatrixView<const float> hidden = batches[piece.batch].hidden.view();
  head_.logits(ctx, hidden.rows_from(piece.first, piece.rows), out);
  return out;
}

}  // namespace pare::eval
