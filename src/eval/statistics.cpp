#include "eval/statistics.h"

#include <algorithm>
#include <cmath>

namespace pare::eval {

MeanError mean_error(std::span<const double> values) noexcept {
  MeanError result;
  if (values.empty()) return result;
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double x : values)
    sum += x;
  result.mean = sum / n;
  if (values.size() < 2) return result;
  double squares = 0;
  for (const double x : values)
    squares += (x - result.mean) * (x - result.mean);
  result.standard_error = std::sqrt(squares / (n - 1) / n);
  return result;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double share = position - std::floor(position);
  return values[below] + share * (values[above] - values[below]);
}

}  // namespace pare::eval
