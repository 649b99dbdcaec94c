// The std-range score: how far a layer's input reaches, in deviations of its shifted values.
#include "calib/observer.h"
#include "calib/observers/scan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace pare::calib {
namespace {

/// Count, mean and sum of squared distances from the mean; parts are joined as Chan, Golub and
/// LeVeque (1979) do, so that nothing cancels however far the mean is from 0.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;

  void join(const Moments& other) noexcept {
    if (other.count == 0) return;
    const double total = count + other.count;
    const double gap = other.mean - mean;
    squares += other.squares + gap * gap * count * other.count / total;
    mean += gap * other.count / total;
    count = total;
  }
};

/// max + min of every channel: [C]
std::vector<float> channel_shifts(MatrixView<const float> x) {
  const auto channels = static_cast<std::size_t>(x.cols);
  std::vector<float> low(x.row(0), x.row(0) + channels);
  std::vector<float> high = low;
  for (std::int64_t t = 1; t < x.rows; ++t) {
    const float* token = x.row(t);
    for (std::size_t c = 0; c < channels; ++c) {
      low[c] = std::min(low[c], token[c]);
      high[c] = std::max(high[c], token[c]);
    }
  }
  for (std::size_t c = 0; c < channels; ++c)
    high[c] += low[c];
  return high;
}

/// Sum over c of fn(token[c] - shift[c]), as eight partial sums that vectorise.
template <class Fn>
double sum_of(const float* token, const std::vector<float>& shift, const Fn& fn) noexcept {
  constexpr std::size_t kParts = 8;
  std::array<double, kParts> parts{};
  std::size_t c = 0;
  for (; c + kParts <= shift.size(); c += kParts) {
    for (std::size_t k = 0; k < kParts; ++k)
      parts[k] += fn(token[c + k] - shift[c + k]);
  }
  for (; c < shift.size(); ++c)
    parts[0] += fn(token[c] - shift[c]);
  double sum = 0;
  for (const double part : parts)
    sum += part;
  return sum;
}

Moments token_moments(const float* token, const std::vector<float>& shift) noexcept {
  const auto count = static_cast<double>(shift.size());
  const double mean = sum_of(token, shift, [](float d) { return static_cast<double>(d); }) / count;
  const double squares = sum_of(token, shift, [mean](float d) {
    const double distance = static_cast<double>(d) - mean;
    return distance * distance;
  });
  return {count, mean, squares};
}

}  // namespace

void RangeScore::update(MatrixView<const float> x) {
  if (x.rows == 0 || x.cols == 0) return;
  const Range sample = scan_range(x);
  min_ = seen_ ? std::min(min_, sample.min) : sample.min;
  max_ = seen_ ? std::max(max_, sample.max) : sample.max;
  seen_ = true;
  const std::vector<float> shift = channel_shifts(x);
  Moments moments;
  for (std::int64_t t = 0; t < x.rows; ++t)
    moments.join(token_moments(x.row(t), shift));
  if (moments.count < 2) return;
  const double variance = moments.squares / (moments.count - 1);
  std_ = std::max(std_, static_cast<float>(std::sqrt(variance)));
}

float RangeScore::score() const noexcept {
  const float reach = std::max(std::fabs(min_), std::fabs(max_));
  if (reach == 0) return 0;
  if (std_ == 0) return std::numeric_limits<float>::infinity();
  return reach / std_;
}

}  // namespace pare::calib
