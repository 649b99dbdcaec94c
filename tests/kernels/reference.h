// The obvious versions of the kernels in double precision, and matrices of repeatable numbers.
#pragma once

#include "core/half.h"
#include "kernels/attention.h"
#include "pare/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace pare::kernels::reference {

/// Values in [-1, 1) from a small generator of its own, the same everywhere.
inline Matrix random_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Matrix m(rows, cols);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (float& v : m.values()) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    v = static_cast<float>(static_cast<double>(state >> 11) / 4503599627370496.0 - 1.0);
  }
  return m;
}

inline Matrix rounded_to_bf16(const Matrix& m) {
  Matrix out = m;
  for (float& v : out.values())
    v = to_float(to_bf16(v));
  return out;
}

struct Product {
  std::vector<double> value;
  std::vector<double> magnitude;  // sum of |x w|, what rounding errors are measured by
};

inline Product matmul(const Matrix& x, const Matrix& w) {
  Product p;
  for (std::int64_t t = 0; t < x.rows(); ++t) {
    for (std::int64_t o = 0; o < w.rows(); ++o) {
      double sum = 0;
      double magnitude = 0;
      for (std::int64_t i = 0; i < x.cols(); ++i) {
        const double term =
            static_cast<double>(x.view().row(t)[i]) * static_cast<double>(w.view().row(o)[i]);
        sum += term;
        magnitude += std::fabs(term);
      }
      p.value.push_back(sum);
      p.magnitude.push_back(magnitude);
    }
  }
  return p;
}

/// One fused multiply-add per k in ascending order: the bits f32 products promise.
inline Matrix fma_matmul(const Matrix& x, const Matrix& w) {
  Matrix y(x.rows(), w.rows());
  for (std::int64_t t = 0; t < x.rows(); ++t) {
    for (std::int64_t o = 0; o < w.rows(); ++o) {
      float sum = 0;
      for (std::int64_t i = 0; i < x.cols(); ++i) {
        sum = std::fma(x.view().row(t)[i], w.view().row(o)[i], sum);
      }
      y.view().row(t)[o] = sum;
    }
  }
  return y;
}

inline Matrix attention(const AttentionShape& s, const Matrix& q, const Matrix& k,
                        const Matrix& v) {
  Matrix out(q.rows(), q.cols());
  const std::int64_t width = s.head_dim;
  for (std::int64_t head = 0; head < s.heads; ++head) {
    const std::int64_t kv = head / (s.heads / s.kv_heads) * width;
    for (std::int64_t i = 0; i < q.rows(); ++i) {
      const std::int64_t last = i + k.rows() - q.rows();
      const std::int64_t first = s.window > 0 ? std::max<std::int64_t>(0, last - s.window + 1) : 0;
      std::vector<double> score;
      for (std::int64_t j = first; j <= last; ++j) {
        double dot = 0;
        for (std::int64_t d = 0; d < width; ++d) {
          dot += static_cast<double>(q.view().row(i)[head * width + d]) *
                 static_cast<double>(k.view().row(j)[kv + d]);
        }
        score.push_back(dot * static_cast<double>(s.scale));
      }
      const double max = *std::max_element(score.begin(), score.end());
      double total = 0;
      for (double& e : score)
        total += e = std::exp(e - max);
      for (std::int64_t d = 0; d < width; ++d) {
        double sum = 0;
        for (std::int64_t j = first; j <= last; ++j) {
          sum += score[static_cast<std::size_t>(j - first)] *
                 static_cast<double>(v.view().row(j)[kv + d]);
        }
        out.view().row(i)[head * width + d] = static_cast<float>(sum / total);
      }
    }
  }
  return out;
}

}  // namespace pare::kernels::reference
