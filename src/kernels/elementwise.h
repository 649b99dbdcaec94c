// Row-wise pieces of a transformer block; vectorised, rows in parallel.
#pragma once

#include <cstdint>
#include <span>

#include "pare/context.h"
#include "pare/tensor.h"

namespace pare::kernels {

/// y[t] = w * x[t] * rsqrt(mean(x[t]^2) + eps). Shapes: x, y [T, D] (may be the same), w [D].
/// The mean is summed in f64 or in a fixed order in f32; threads: rows in parallel.
void rms_norm(const Context& ctx, MatrixView<const float> x, std::span<const float> w, float eps,
              MatrixView<float> y);

/// gate[t][i] = silu(gate[t][i]) * up[t][i], silu(z) = z / (1 + exp(-z)). In place on gate.
void silu_mul(const Context& ctx, MatrixView<float> gate, MatrixView<const float> up);

/// x += y, row by row.
void add_rows(const Context& ctx, MatrixView<float> x, MatrixView<const float> y);

/// x[t] += bias for every row.
void add_bias(const Context& ctx, MatrixView<float> x, std::span<const float> bias);

/// Half-rotate rotary embedding in place on heads of width D:
/// (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin), x1 the first half of each head, x2 the second.
/// Shapes: x [T, H*D]; cos, sin [T, D/2].
void rope_half(const Context& ctx, MatrixView<float> x, std::int64_t head_dim,
               MatrixView<const float> cos, MatrixView<const float> sin);

/// log(sum(exp(x))) with the maximum taken out, and the position of the first maximum.
struct LogSumExp {
  float value = 0;
  std::int64_t argmax = 0;
};
LogSumExp log_sum_exp(std::span<const float> x) noexcept;

}  // namespace pare::kernels
