// Sums of per-token numbers: mean and standard error, and quantiles.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pare::eval {

struct MeanError {
  double mean = 0;
  double standard_error = 0;  // sample standard deviation / sqrt(n); 0 for fewer than two values
};
/// Two passes in f64, in the order of the values.
MeanError mean_error(std::span<const double> values) noexcept;

/// The value below which a share `q` of the values lies, between neighbours by linear
/// interpolation.
double quantile(std::vector<double> values, double q);

}  // namespace pare::eval
