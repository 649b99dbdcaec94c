// Quantization in a power domain: sign(w) |w|^alpha is rounded to a uniform grid, so that small
// weights get finer steps than large ones when alpha < 1.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

namespace pare::quant {

/// What is squared and summed: inliers |w| <= limit at 4 bits, with one scale per row or one for
/// all.
struct PowerProblem {
  float limit = 0;
  bool per_channel = true;
};

/// Sum of squared errors of the inliers at alpha.
/// Math: x = |w|^alpha, A = the largest x of row or tensor, levels of w are A^(1/alpha) *
/// (j/7)^(1/alpha)
///       from x = A (j - 1/2) / 7 on, j = 0..7.
/// Threads: rows in parallel, same result for any count.
double power_objective(const Context& ctx, const TensorView& weight, const PowerProblem& problem,
                       double alpha);

/// The alpha in [0.1, 0.9] of least error among those tried: ever finer grids around the best so
/// far. A small weight, whose error is a rough function of alpha, is tried at hundreds of places.
/// Errors: not_finite, naming row and column.
/// Source: Yvinec et al., arXiv:2301.09858 (the idea); docs/sparse-quantization.md, "nonuniform"
float find_power(const Context& ctx, const TensorView& weight, const PowerProblem& problem);

}  // namespace pare::quant
