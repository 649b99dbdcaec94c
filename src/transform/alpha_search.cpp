#include "transform/alpha_search.h"

#include "kernels/gemm.h"
#include "kernels/quantize.h"
#include "transform/power.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace pare::transform {
namespace {

/// Output rows tried at a time when the rows of a weight do not depend on each other.
constexpr std::int64_t kPieceRows = 1024;
constexpr std::int64_t kRowsPerTask = 16;

template <typename Fn>
void for_rows(const Context& ctx, std::int64_t rows, const Fn& fn) {
  ctx.parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task) {
    for (std::int64_t r = task * kRowsPerTask; r < std::min(rows, (task + 1) * kRowsPerTask); ++r) {
      fn(r);
    }
  });
}

std::int64_t piece_rows(std::int64_t out, bool row_by_row) noexcept {
  return row_by_row ? std::min(out, kPieceRows) : out;
}

class Search {
 public:
  Search(const Context& ctx, const SearchProblem& problem, const FakeQuantizeWeight& fake_quantize)
      : ctx_(ctx), problem_(problem), recover_(fake_quantize), channels_(problem.rows.cols) {
    for (const TensorView& weight : problem.weights)
      out_ += weight.shape[0];
    piece_ = piece_rows(out_, problem.row_by_row);
    rounded_ = Matrix(problem.rows.rows, channels_);
    expected_ = Matrix(problem.rows.rows, out_);
    multiply_pieces(
        problem.rows, [](MatrixView<float>) {},
        [&](std::int64_t first, MatrixView<const float> y) { keep(first, y); });
  }

  /// The alpha of the least loss in `count` values from `low` to `high`; the first of equals.
  float best_of(float low, float high, int count) {
    float best = low;
    float least = 0;
    for (int i = 0; i < count; ++i) {
      const double step = (static_cast<double>(high) - static_cast<double>(low)) / (count - 1);
      const auto alpha =
          i + 1 == count ? high : static_cast<float>(static_cast<double>(low) + i * step);
      ctx_.check_cancelled();
      const float loss = loss_of(alpha);
      if (i > 0 && !(loss < least)) continue;
      best = alpha;
      least = loss;
    }
    return best;
  }

 private:
  /// Calls take(first output, products) for x times every piece of the weight after `change`.
  template <typename Change, typename Take>
  void multiply_pieces(MatrixView<const float> x, const Change& change, const Take& take) {
    for (std::int64_t first = 0; first < out_; first += piece_) {
      const std::int64_t count = std::min(piece_, out_ - first);
      weight_.reshape(count, channels_);
      read_rows(first);
      change(weight_.view());
      const kernels::PackedWeight packed(ctx_, std::as_const(weight_).view(),
                                         kernels::Compute::f32);
      if (first == 0) input_.pack(ctx_, x, packed);
      product_.reshape(x.rows, count);
      kernels::matmul(ctx_, input_, packed, product_.view());
      take(first, std::as_const(product_).view());
    }
  }

  /// Rows [first, first + rows of weight_) of all weights, one below the other.
  void read_rows(std::int64_t first) {
    std::int64_t begin = 0;
    for (const TensorView& weight : problem_.weights) {
      const std::int64_t end = begin + weight.shape[0];
      const std::int64_t from = std::max(begin, first);
      const std::int64_t until = std::min(end, first + weight_.rows());
      const std::size_t row_bytes = static_cast<std::size_t>(channels_) * size_of(weight.dtype);
      for_rows(ctx_, std::max<std::int64_t>(0, until - from), [&](std::int64_t r) {
        const std::byte* data =
            weight.data.data() + static_cast<std::size_t>(from - begin + r) * row_bytes;
        kernels::widen_row(weight.dtype, data, channels_, weight_.view().row(from - first + r));
      });
      begin = end;
    }
  }

  void keep(std::int64_t first, MatrixView<const float> y) {
    for (std::int64_t t = 0; t < y.rows; ++t) {
      std::copy_n(y.row(t), y.cols, expected_.view().row(t) + first);
    }
  }

  /// Factors of the input's channels.
  std::vector<float> factors(float alpha) const {
    std::vector<float> t(static_cast<std::size_t>(channels_), 1.0F);
    for (std::size_t c = 0; c < t.size(); ++c) {
      if (problem_.x_max[c] == 0) continue;
      t[c] = power(problem_.w_max[c], 1.0F - alpha) / power(problem_.x_max[c], alpha);
    }
    return t;
  }

  float loss_of(float alpha) {
    const std::vector<float> t = factors(alpha);
    round_input(t);
    std::vector<float> inverse(t.size());
    std::transform(t.begin(), t.end(), inverse.begin(), [](float f) { return 1.0F / f; });
    std::vector<double> losses(static_cast<std::size_t>(problem_.rows.rows), 0.0);
    const auto scale_and_recover = [&](MatrixView<float> weight) {
      for_rows(ctx_, weight.rows, [&](std::int64_t r) {
        float* w = weight.row(r);
        for (std::size_t c = 0; c < inverse.size(); ++c)
          w[c] *= inverse[c];
      });
      recover_(ctx_, weight);
    };
    multiply_pieces(std::as_const(rounded_).view(), scale_and_recover,
                    [&](std::int64_t first, MatrixView<const float> y) {
                      for_rows(ctx_, y.rows, [&](std::int64_t r) {
                        losses[static_cast<std::size_t>(r)] += row_loss(
                            std::as_const(expected_).view().row(r) + first, y.row(r), y.cols);
                      });
                    });
    double sum = 0;
    for (const double loss : losses)
      sum += loss;
    return static_cast<float>(std::sqrt(sum));
  }

  static double row_loss(const float* expected, const float* found, std::int64_t count) noexcept {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const float error = expected[i] - found[i];
      const auto square = static_cast<double>(error * error);
      sum += square * square;
    }
    return sum;
  }

  /// The input times t, rounded to int8 with one scale for all tokens, those not in `rows` too.
  void round_input(std::span<const float> t) {
    float largest = 0;
    for (std::size_t c = 0; c < t.size(); ++c)
      largest = std::max(largest, problem_.x_max[c] * t[c]);
    const float scale = largest > 0 ? largest / 127 : 1.0F;
    for_rows(ctx_, problem_.rows.rows, [&](std::int64_t r) {
      const float* x = problem_.rows.row(r);
      float* y = rounded_.view().row(r);
      for (std::size_t c = 0; c < t.size(); ++c)
        y[c] = x[c] * t[c];
      kernels::fake_quantize_row(y, channels_, scale, 0, -127, 127);
    });
  }

  const Context& ctx_;
  const SearchProblem& problem_;
  const FakeQuantizeWeight& recover_;
  std::int64_t channels_;
  std::int64_t out_ = 0;
  std::int64_t piece_ = 0;
  Matrix expected_;  // [R, O]: the product that the rounded ones are held against
  Matrix rounded_;
  Matrix weight_;
  Matrix product_;
  kernels::PackedInput input_;
};

}  // namespace

float search_alpha(const Context& ctx, const SearchProblem& problem, int intervals,
                   const FakeQuantizeWeight& fake_quantize) {
  Search search(ctx, problem, fake_quantize);
  const int count = intervals + 1;
  const float coarse = search.best_of(0, 1, count);
  const auto half = static_cast<float>(1.0 / count);
  return search.best_of(std::max(0.0F, coarse - half), std::min(1.0F, coarse + half), count);
}

std::size_t search_bytes(std::int64_t rows, std::int64_t out, std::int64_t in, bool row_by_row) {
  const std::int64_t piece = piece_rows(out, row_by_row);
  const std::int64_t floats = rows * (out + piece + in) + piece * in;
  return static_cast<std::size_t>(floats) * sizeof(float) +
         kernels::packed_bytes(piece, in, kernels::Compute::f32) +
         static_cast<std::size_t>(rows * in) * sizeof(float);
}

}  // namespace pare::transform
