// The weight as the low-bit method would leave it, without codes: what a search for smoothing
// compares again and again.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

namespace pare::quant {

/// How the weight would be quantized; the defaults are those of the smoothing search.
struct LowbitOptions {
  int bits = 4;             // 4: inliers and outliers; 8: plain symmetric rounding
  bool per_channel = true;  // a scale per row; else one for the tensor
  bool use_sigma = true;    // which weights are outliers at 4 bits
  double sigma_factor = 3;
  double fraction = 0.01;
};

/// Fills `out` with the values that `weight` is rounded to. Shapes: both [O, I]; `out` may be
/// `weight` itself. Math: each code times the scale it was rounded with, f32.
/// Errors: not_finite, naming row and column. Threads: rows in parallel, same bytes for any count.
/// Source: docs/sparse-quantization.md, "lowbit"
void fake_quantize_lowbit(const Context& ctx, MatrixView<const float> weight,
                          const LowbitOptions& options, MatrixView<float> out);

}  // namespace pare::quant
