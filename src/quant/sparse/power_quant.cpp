#include "quant/sparse/power_quant.h"

#include "kernels/outliers.h"
#include "kernels/power.h"
#include "quant/row_blocks.h"
#include "quant/scale_of_range.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace pare::quant {
namespace {

constexpr double kLowest = 0.1;
constexpr double kHighest = 0.9;
constexpr int kSteps = kernels::PowerLevels::kCount - 1;  // 7: codes of 4 bits are -7..7
constexpr std::int64_t kSmall = std::int64_t{1} << 20;
constexpr std::int64_t kFinalWork = std::int64_t{1} << 30;  // weights looked at in the last grid

/// Smallest f32 that is not below x.
float rounded_up(double x) noexcept {
  const auto rounded = static_cast<float>(x);
  if (static_cast<double>(rounded) >= x) return rounded;
  return std::nextafter(rounded, std::numeric_limits<float>::infinity());
}

/// Places and values of the levels for a largest magnitude of 1.
struct UnitLevels {
  double starts[kernels::PowerLevels::kCount] = {};
  double values[kernels::PowerLevels::kCount] = {};

  explicit UnitLevels(double alpha) noexcept {
    for (int j = 1; j <= kSteps; ++j) {
      starts[j] = kernels::power_of((j - 0.5) / kSteps, 1 / alpha);
      values[j] = kernels::power_of(static_cast<double>(j) / kSteps, 1 / alpha);
    }
  }

  kernels::PowerLevels scaled(float largest) const noexcept {
    kernels::PowerLevels levels;
    const auto factor = static_cast<double>(largest);
    for (int j = 1; j <= kSteps; ++j) {
      levels.starts[j] = rounded_up(starts[j] * factor);
      levels.values[j] = static_cast<float>(values[j] * factor);
    }
    return levels;
  }
};

/// A weight with the largest inlier of each row, or of all rows in each place.
struct Search {
  const Context& ctx;
  const TensorView& weight;
  float limit;
  std::vector<float> largest;

  Search(const Context& context, const TensorView& w, const PowerProblem& problem)
      : ctx(context), weight(w), limit(problem.limit) {
    largest.resize(static_cast<std::size_t>(weight.shape[0]));
    for_widened_rows(ctx, weight, [&](std::int64_t row, std::span<const float> values) {
      const auto columns = static_cast<std::int64_t>(values.size());
      const auto found = kernels::largest_magnitudes(values.data(), columns, limit);
      if (!found.finite) check_row_finite(weight, row, 0, columns);
      largest[static_cast<std::size_t>(row)] = found.inlier;
    });
    if (problem.per_channel || largest.empty()) return;
    largest.assign(largest.size(), *std::max_element(largest.begin(), largest.end()));
  }

  double error(double alpha) const {
    const UnitLevels unit(alpha);
    std::vector<double> rows(largest.size());
    for_widened_rows(ctx, weight, [&](std::int64_t row, std::span<const float> values) {
      const auto r = static_cast<std::size_t>(row);
      rows[r] = kernels::power_error(values.data(), static_cast<std::int64_t>(values.size()), limit,
                                     unit.scaled(largest[r]));
    });
    double sum = 0;
    for (const double row : rows)
      sum += row;
    return sum;
  }
};

/// The best alpha so far; 0.7 where all are equally good, as for zeros.
struct Best {
  double alpha = static_cast<double>(0.7F);
  double error = 0;
};

/// Tries `places` points evenly over [low, high], ends included; the first of equals wins.
void try_range(const Search& search, double low, double high, int places, Best& best) {
  for (int i = 0; i < places; ++i) {
    // Alpha is kept in f32, so that what is tried is what will be used.
    const double alpha = static_cast<double>(
        static_cast<float>(low + (high - low) * i / static_cast<double>(places - 1)));
    const double error = search.error(alpha);
    if (error < best.error) best = {alpha, error};
  }
}

void try_around(const Search& search, double reach, int places, Best& best) {
  const double low = std::max(kLowest, best.alpha - reach);
  const double high = std::min(kHighest, best.alpha + reach);
  try_range(search, low, high, places, best);
}

}  // namespace

double power_objective(const Context& ctx, const TensorView& weight, const PowerProblem& problem,
                       double alpha) {
  return Search(ctx, weight, problem).error(alpha);
}

float find_power(const Context& ctx, const TensorView& weight, const PowerProblem& problem) {
  const Search search(ctx, weight, problem);
  Best best;
  best.error = search.error(best.alpha);
  // Single weights move from level to level and make the error a rough function of alpha, by about
  // the root of their number. Small weights, where that shows, are cheap to try at many places.
  const std::int64_t count = std::max<std::int64_t>(1, weight.numel());
  if (count <= kSmall) {
    try_range(search, kLowest, kHighest, 161, best);
    try_around(search, 0.03, 601, best);
    try_around(search, 2e-4, 81, best);
    try_around(search, 1e-5, 41, best);
    return static_cast<float>(best.alpha);
  }
  try_range(search, kLowest, kHighest, 9, best);
  for (double reach = 0.075; reach > 4e-3; reach /= 4)
    try_around(search, reach, 7, best);
  const std::int64_t places = std::clamp<std::int64_t>(kFinalWork / count, 16, 400);
  try_around(search, 2e-3, static_cast<int>(places), best);
  return static_cast<float>(best.alpha);
}

}  // namespace pare::quant
