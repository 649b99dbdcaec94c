// Synthetic weights for the codec's tests: what quantizers make of gaussian and heavier tails.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace pare::test {

using Bytes = std::vector<std::byte>;

inline double entropy_of(std::span<const std::byte> symbols) {
  std::array<double, 256> counts{};
  for (const std::byte b : symbols)
    ++counts[std::to_integer<std::size_t>(b)];
  double bits = 0;
  for (const double c : counts) {
    if (c > 0) bits -= c * std::log2(c / static_cast<double>(symbols.size()));
  }
  return bits / static_cast<double>(symbols.size());
}

/// A weight before it is rounded: gaussian, Laplacian, or Student's t with four degrees of freedom.
class WeightSource {
 public:
  enum Kind { gauss, laplace, t4 };
  WeightSource(Kind kind, unsigned seed) : kind_(kind), engine_(seed) {}

  double next() {
    if (kind_ == laplace) return exponential_(engine_) * ((engine_() & 1U) != 0 ? 1 : -1);
    const double x = normal_(engine_);
    return kind_ == gauss ? x : x / std::sqrt(chi_(engine_) / 4);
  }

 private:
  Kind kind_;
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  std::exponential_distribution<double> exponential_;
  std::chi_squared_distribution<double> chi_{4};
};

inline std::byte as_code(double value) {
  return static_cast<std::byte>(std::lround(std::clamp(value, -127.0, 127.0)));
}

/// int8 codes of a sparse quantization by rows: the quantile 1 - f of |w| becomes 7; outliers keep
/// the step and are clipped at 127, or are spread over 8..127.
inline Bytes sparse_codes(WeightSource::Kind kind, double f, bool spread, std::size_t rows,
                          std::size_t cols, unsigned seed) {
  WeightSource source(kind, seed);
  Bytes codes;
  std::vector<double> w(cols);
  std::vector<double> sorted(cols);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < cols; ++i)
      sorted[i] = std::abs(w[i] = source.next());
    std::sort(sorted.begin(), sorted.end());
    const double inside = sorted[static_cast<std::size_t>((1 - f) * static_cast<double>(cols - 1))];
    for (const double x : w) {
      const double over = (std::abs(x) - inside) / (sorted.back() - inside);
      const bool moved = spread && std::abs(x) > inside;
      codes.push_back(as_code(moved ? std::copysign(8 + over * 119, x) : x * 7 / inside));
    }
  }
  return codes;
}

/// Plain codes of one step, about `bits` of entropy a symbol: the step is searched.
inline Bytes plain_codes(WeightSource::Kind kind, double bits, std::size_t count, unsigned seed) {
  Bytes codes(count);
  const auto fill = [&](double scale, std::size_t n) {
    WeightSource source(kind, seed);
    for (std::size_t i = 0; i < n; ++i)
      codes[i] = as_code(source.next() * scale);
    return entropy_of(std::span(codes).first(n));
  };
  double low = 0.05;
  double high = 40;
  for (int round = 0; round < 12; ++round) {
    const double middle = std::sqrt(low * high);
    (fill(middle, std::min<std::size_t>(count, 16384)) < bits ? low : high) = middle;
  }
  fill(low, count);
  return codes;
}

}  // namespace pare::test
