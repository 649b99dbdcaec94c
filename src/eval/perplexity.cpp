#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "eval/hidden_states.h"
#include "eval/row_math.h"
#include "eval/statistics.h"

namespace pare::eval {
namespace {

constexpr text::TokenId kNotScored = -1;

/// For every row of a group of windows the token that its logits are judged by.
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

/// The targets of a piece's rows, or an empty span when none of them is scored.
std::span<const text::TokenId> scored_targets(std::span<const text::TokenId> targets,
                                              const Piece& piece) {
  const auto part = targets.subspan(static_cast<std::size_t>(piece.first_row),
                                    static_cast<std::size_t>(piece.rows));
  const bool any = std::any_of(part.begin(), part.end(), [](auto id) { return id != kNotScored; });
  return any ? part : std::span<const text::TokenId>{};
}

void require_finite(double nll) {
  if (std::isfinite(nll)) return;
  throw Error(ErrorCode::not_finite, "the model's logits hold NaN or infinity")
      .hint("`pare inspect MODEL --scan` finds damaged weights");
}

std::int64_t scored_tokens(const Windows& windows) {
  return static_cast<std::int64_t>(windows.ids.size()) * (windows.context - windows.first_target);
}

Perplexity summarize(const Windows& windows, std::span<const double> nll) {
  const MeanError mean = mean_error(nll);
  Perplexity result;
  result.nll = mean.mean;
  result.perplexity = std::exp(mean.mean);
  result.stderr_ = result.perplexity * mean.standard_error;
  result.windows = static_cast<std::int64_t>(windows.ids.size());
  result.tokens = static_cast<std::int64_t>(nll.size());
  return result;
}

/// A model's head and the room for the logits of one piece.
struct Scorer {
  Scorer(const Context& ctx, const model::Model& model)
      : head(ctx, model), logits(0, head.vocab_size()) {}

  MatrixView<const float> score(const Context& ctx, const std::vector<model::Batch>& batches,
                                const Piece& piece) {
    if (logits.rows() < piece.rows) logits = Matrix(piece.rows, head.vocab_size());
    const MatrixView<float> out = logits.view().rows_from(0, piece.rows);
    head.logits(ctx, batches[piece.batch].hidden.view().rows_from(piece.first, piece.rows), out);
    return out;
  }

  model::Head head;
  Matrix logits;
};

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
  for (const TokenComparison& token : tokens) values.push_back(value(token));
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
  const MeanError top = mean_error(column(tokens, [](const auto& t) { return t.same_top ? 1.0 : 0.0; }));
  result.top1_agreement = top.mean;
  result.top1_stderr = top.standard_error;
  result.base = summarize(windows, column(tokens, [](const auto& t) { return t.base_nll; }));
  result.other = summarize(windows, column(tokens, [](const auto& t) { return t.other_nll; }));
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

Perplexity perplexity(const Context& ctx, const model::Model& model, const Windows& windows,
                      std::size_t batch_bytes) {
  const auto groups = split_into_groups(model.graph->config, windows.ids, batch_bytes);
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
  return summarize(windows, nll);
}

Comparison compare(const Context& ctx, const model::Model& base, const model::Model& other,
                   const Windows& windows, std::size_t batch_bytes) {
  require_same_vocabulary(base, other);
  const auto groups = split_into_groups(base.graph->config, windows.ids, batch_bytes / 2);
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

void logits_of(const Context& ctx, const model::Model& model, Sequences sequences,
               const std::function<void(MatrixView<const float>)>& take) {
  constexpr std::size_t kBytes = std::size_t{512} << 20;
  const auto groups = split_into_groups(model.graph->config, sequences, kBytes);
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
