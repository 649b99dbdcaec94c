#include "eval/perplexity.h"

#include "eval/hidden_states.h"
#include "eval/row_math.h"
#include "eval/scorer.h"

namespace pare::eval {
namespace {

void score_group(const Context& ctx, Scorer& scorer, const std::vector<model::Batch>& batches,
                 std::span<const text::TokenId> targets, std::vector<double>& nll) {
  std::vector<double> rows;
  for (const Piece& piece : pieces_of(batches)) {
    const auto wanted = scored_targets(targets, piece);
    if (wanted.empty()) continue;
    ctx.check_cancelled();
    const MatrixView<const float> logits = scorer.score(ctx, batches, piece);
    rows.assign(wanted.size(), 0);
    ctx.parallel_for(piece.rows, [&](std::int64_t r) {
      const auto row = static_cast<std::size_t>(r);
      if (wanted[row] == kNotScored) return;
      rows[row] = row_stats(logits.row_span(r)).nll(logits.row(r)[wanted[row]]);
      require_finite(rows[row]);
    });
    for (std::size_t row = 0; row < wanted.size(); ++row) {
      if (wanted[row] != kNotScored) nll.push_back(rows[row]);
    }
  }
}

}  // namespace

Perplexity perplexity(const Context& ctx, const model::Model& model, const Windows& windows,
                      std::size_t batch_bytes) {
  const auto groups = split_into_groups(ctx, model, windows.ids, batch_bytes);
  Steps steps(ctx, "evaluating", steps_of(model, groups.size()));
  Scorer scorer(ctx, model);
  std::vector<double> nll;
  nll.reserve(static_cast<std::size_t>(scored_tokens(windows)));
  for (const Sequences group : groups) {
    const auto batches = hidden_states(ctx, model, group, steps);
    steps.begin("head");
    score_group(ctx, scorer, batches, targets_of(group, windows.first_target), nll);
  }
  steps.finish();
  return perplexity_of(windows, nll);
}

void logits_of(const Context& ctx, const model::Model& model, Sequences sequences,
               const std::function<void(MatrixView<const float>)>& take) {
  constexpr std::size_t kBytes = std::size_t{512} << 20;
  const auto groups = split_into_groups(ctx, model, sequences, kBytes);
  Steps steps(ctx, "evaluating", steps_of(model, groups.size()));
  Scorer scorer(ctx, model);
  for (const Sequences group : groups) {
    const auto batches = hidden_states(ctx, model, group, steps);
    steps.begin("head");
    for (const Piece& piece : pieces_of(batches)) {
      ctx.check_cancelled();
      take(scorer.score(ctx, batches, piece));
    }
  }
  steps.finish();
}

}  // namespace pare::eval
