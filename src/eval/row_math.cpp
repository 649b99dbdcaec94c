#include "eval/row_math.h"

#include <algorithm>
#include <cmath>

namespace pare::eval {

RowStats row_stats(std::span<const float> logits) noexcept {
  RowStats stats;
  const auto top = std::max_element(logits.begin(), logits.end());
  stats.argmax = top - logits.begin();
  stats.max = *top;
  double sum = 0;
  for (const float x : logits)
    sum += std::exp(static_cast<double>(x) - stats.max);
  stats.log_sum = std::log(sum);
  return stats;
}

double kl_divergence(std::span<const float> a, const RowStats& a_stats, std::span<const float> b,
                     const RowStats& b_stats) noexcept {
  double weighted = 0;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double log_p = static_cast<double>(a[i]) - a_stats.max;
    const double log_q = static_cast<double>(b[i]) - b_stats.max;
    const double p = std::exp(log_p);
    sum += p;
    weighted += p * (log_p - log_q);
  }
  // Equal distributions that differ in the last bits of their logits may come out below zero.
  return std::max(0.0, weighted / sum - a_stats.log_sum + b_stats.log_sum);
}

}  // namespace pare::eval
