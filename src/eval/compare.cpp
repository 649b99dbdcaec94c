// Two models on the same windows, token by token.
#include "eval/hidden_states.h"
#include "eval/perplexity.h"
#include "eval/row_math.h"
#include "eval/scorer.h"
#include "eval/statistics.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pare::eval {
namespace {

/// What both models say of one token.
struct TokenComparison {
  double base_nll = 0;
  double other_nll = 0;
  double kl = 0;
  bool same_top = false;
};

TokenComparison compare_rows(std::span<const float> a, std::span<const float> b,
                             text::TokenId target) {
  const RowStats base = row_stats(a);
  const RowStats other = row_stats(b);
  const auto id = static_cast<std::size_t>(target);
  TokenComparison token{base.nll(a[id]), other.nll(b[id]), kl_divergence(a, base, b, other),
                        base.argmax == other.argmax};
  require_finite(token.base_nll);
  require_finite(token.other_nll);
  require_finite(token.kl);
  return token;
}

struct Pair {
  Scorer base;
  Scorer other;
};

void compare_group(const Context& ctx, Pair& scorers, const std::vector<model::Batch>& base,
                   const std::vector<model::Batch>& other, std::span<const text::TokenId> targets,
                   std::vector<TokenComparison>& tokens) {
  std::vector<TokenComparison> rows;
  for (const Piece& piece : pieces_of(base)) {
    const auto wanted = scored_targets(targets, piece);
    if (wanted.empty()) continue;
    ctx.check_cancelled();
    const MatrixView<const float> a = scorers.base.score(ctx, base, piece);
    const MatrixView<const float> b = scorers.other.score(ctx, other, piece);
    rows.assign(wanted.size(), {});
    ctx.parallel_for(piece.rows, [&](std::int64_t r) {
      const text::TokenId target = wanted[static_cast<std::size_t>(r)];
      if (target == kNotScored) return;
      rows[static_cast<std::size_t>(r)] = compare_rows(a.row_span(r), b.row_span(r), target);
    });
    for (std::size_t row = 0; row < wanted.size(); ++row) {
      if (wanted[row] != kNotScored) tokens.push_back(rows[row]);
    }
  }
}

template <typename Value>
std::vector<double> column(const std::vector<TokenComparison>& tokens, Value value) {
  std::vector<double> values;
  values.reserve(tokens.size());
  for (const TokenComparison& token : tokens)
    values.push_back(value(token));
  return values;
}

Comparison summarize(const Windows& windows, const std::vector<TokenComparison>& tokens) {
  Comparison result;
  const auto kl = column(tokens, [](const auto& t) { return t.kl; });
  const MeanError kl_mean = mean_error(kl);
  result.kl_mean = kl_mean.mean;
  result.kl_stderr = kl_mean.standard_error;
  result.kl_max = *std::max_element(kl.begin(), kl.end());
  result.kl_median = quantile(kl, 0.5);
  result.kl_p99 = quantile(kl, 0.99);
  const MeanError top =
      mean_error(column(tokens, [](const auto& t) { return t.same_top ? 1.0 : 0.0; }));
  result.top1_agreement = top.mean;
  result.top1_stderr = top.standard_error;
  result.base = perplexity_of(windows, column(tokens, [](const auto& t) { return t.base_nll; }));
  result.other = perplexity_of(windows, column(tokens, [](const auto& t) { return t.other_nll; }));
  // The models err on the same tokens, so the ratio's error comes from their differences.
  const MeanError change =
      mean_error(column(tokens, [](const auto& t) { return t.other_nll - t.base_nll; }));
  result.perplexity_ratio = std::exp(change.mean);
  result.perplexity_ratio_stderr = result.perplexity_ratio * change.standard_error;
  return result;
}

void require_same_vocabulary(const model::Model& base, const model::Model& other) {
  const std::int64_t a = base.graph->config.vocab_size;
  const std::int64_t b = other.graph->config.vocab_size;
  if (a == b) return;
  throw Error(ErrorCode::bad_usage, fmt::format("vocabularies of {} and {} tokens", a, b))
      .hint("only models that share a tokenizer can be compared");
}

}  // namespace

Comparison compare(const Context& ctx, const model::Model& base, const model::Model& other,
                   const Windows& windows, std::size_t batch_bytes) {
  require_same_vocabulary(base, other);
  const auto groups = split_into_groups(ctx, base, windows.ids, batch_bytes / 2);
  Steps steps(ctx, "comparing", steps_of(base, groups.size()) + steps_of(other, groups.size()));
  Pair scorers{Scorer(ctx, base), Scorer(ctx, other)};
  std::vector<TokenComparison> tokens;
  tokens.reserve(static_cast<std::size_t>(scored_tokens(windows)));
  for (const Sequences group : groups) {
    const auto base_states = hidden_states(ctx, base, group, steps);
    steps.begin("base done");
    const auto other_states = hidden_states(ctx, other, group, steps);
    steps.begin("heads");
    compare_group(ctx, scorers, base_states, other_states, targets_of(group, windows.first_target),
                  tokens);
  }
  steps.finish();
  return summarize(windows, tokens);
}

}  // namespace pare::eval
