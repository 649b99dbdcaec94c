// What one row of logits says about the token that came next, and about another model's row.
#pragma once

#include <cstdint>
#include <span>

namespace pare::eval {

/// Log-probabilities of one row, in f64 with the maximum taken out.
struct RowStats {
  double log_sum = 0;  // log(sum(exp(x - max)))
  float max = 0;
  std::int64_t argmax = 0;  // the first maximum

  /// -log p of a token with logit x.
  double nll(float x) const noexcept { return log_sum - (static_cast<double>(x) - max); }
};
/// Not finite logits give a log_sum or max that is not finite.
RowStats row_stats(std::span<const float> logits) noexcept;

/// KL(P || Q) of the two softmax distributions, in nats; exactly 0 for equal rows.
/// Math: sum_i p_i ((a_i - max a) - (b_i - max b)) - log sum_a + log sum_b
double kl_divergence(std::span<const float> a, const RowStats& a_stats, std::span<const float> b,
                     const RowStats& b_stats) noexcept;

}  // namespace pare::eval
