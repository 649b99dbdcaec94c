// Rows handed to the row loops of this CPU, in parallel.
#include "kernels/elementwise.h"

#include "kernels/isa.h"

#include <algorithm>
#include <cmath>

namespace pare::kernels {
namespace {

/// Rows per task: enough work to be worth a hand-over, few enough to share out.
std::int64_t rows_per_task(std::int64_t cols) noexcept {
  return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, cols));
}

template <typename Fn>
void for_rows(const Context& ctx, std::int64_t rows, std::int64_t cols, const Fn& fn) {
  const std::int64_t step = rows_per_task(cols);
  ctx.parallel_for((rows + step - 1) / step, [&](std::int64_t task) {
    const std::int64_t end = std::min(rows, (task + 1) * step);
    for (std::int64_t r = task * step; r < end; ++r)
      fn(r);
  });
}

}  // namespace

void rms_norm(const Context& ctx, MatrixView<const float> x, std::span<const float> w, float eps,
              MatrixView<float> y) {
  const detail::RowKernels& kernels = detail::row_kernels();
  for_rows(ctx, x.rows, x.cols,
           [&](std::int64_t r) { kernels.rms_norm(x.row(r), w.data(), eps, y.row(r), x.cols); });
}

void silu_mul(const Context& ctx, MatrixView<float> gate, MatrixView<const float> up) {
  const detail::RowKernels& kernels = detail::row_kernels();
  for_rows(ctx, gate.rows, gate.cols,
           [&](std::int64_t r) { kernels.silu_mul(gate.row(r), up.row(r), gate.cols); });
}

void add_rows(const Context& ctx, MatrixView<float> x, MatrixView<const float> y) {
  const detail::RowKernels& kernels = detail::row_kernels();
  for_rows(ctx, x.rows, x.cols, [&](std::int64_t r) { kernels.add(x.row(r), y.row(r), x.cols); });
}

void add_bias(const Context& ctx, MatrixView<float> x, std::span<const float> bias) {
  const detail::RowKernels& kernels = detail::row_kernels();
  for_rows(ctx, x.rows, x.cols,
           [&](std::int64_t r) { kernels.add(x.row(r), bias.data(), x.cols); });
}

void rope_half(const Context& ctx, MatrixView<float> x, std::int64_t head_dim,
               MatrixView<const float> cos, MatrixView<const float> sin) {
  const detail::RowKernels& kernels = detail::row_kernels();
  const std::int64_t half = head_dim / 2;
  for_rows(ctx, x.rows, x.cols, [&](std::int64_t r) {
    for (float* head = x.row(r); head + head_dim <= x.row(r) + x.cols; head += head_dim) {
      kernels.rotate(head, head + half, cos.row(r), sin.row(r), half);
    }
  });
}

LogSumExp log_sum_exp(std::span<const float> x) noexcept {
  if (x.empty()) return {-HUGE_VALF, 0};
  const detail::RowKernels& kernels = detail::row_kernels();
  const std::int64_t n = static_cast<std::int64_t>(x.size());
  const float max = kernels.max(x.data(), n);
  const auto at = std::find(x.begin(), x.end(), max);
  if (at == x.end()) return {std::nanf(""), 0};  // nothing but NaN
  const std::int64_t argmax = at - x.begin();
  if (std::isinf(max)) return {max, argmax};
  const double sum = kernels.sum_exp(x.data(), max, n);
  return {static_cast<float>(static_cast<double>(max) + std::log(sum)), argmax};
}

}  // namespace pare::kernels
