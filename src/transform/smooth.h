// Smoothing: the channels of a norm's output are shifted and scaled so that activations quantize
// better, and the linears that read them undo it. The function of the model stays the same.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"
#include "quant/float_linear.h"

#include <optional>
#include <span>
#include <vector>

namespace pare::transform {

/// A norm and the linears that read its output. Shapes: norm [D], weights [O, D], biases [O].
struct NormGroup {
  TensorView norm_weight;
  std::optional<TensorView> norm_bias;
  std::vector<quant::FloatLinear> linears;
};

/// The same after folding, each tensor in the type it had; new biases in the type of their weight.
struct FoldedGroup {
  Tensor norm_weight;
  std::optional<Tensor> norm_bias;
  std::vector<Tensor> weights;  // of the linears
  std::vector<std::optional<Tensor>> biases;
};

/// x becomes (x - shift) / scale, channel by channel. An empty shift is none at all.
struct ChannelMap {
  std::vector<float> shift;  // [D]
  std::vector<float> scale;  // [D], all > 0
};

/// Middle of each channel's range: (min + max) / 2.
std::vector<float> channel_centres(std::span<const float> min, std::span<const float> max);

/// Largest |x - shift| of each channel; an empty shift is zero.
std::vector<float> centred_maxima(std::span<const float> min, std::span<const float> max,
                                  std::span<const float> shift);

/// Largest |w| of each column over all weights, at least 1e-5. Shapes: weights [O, D] -> [D].
std::vector<float> column_maxima(const Context& ctx, std::span<const TensorView> weights);

/// scale = max(x_max^alpha / w_max^(1-alpha), 1e-5).
/// Source: Xiao et al., arXiv:2211.10438, eq. 4; docs/smoothing.md.
/// Deviation: a channel that never leaves its centre gets scale 1, where the reference takes 1e-5
///            and multiplies the norm's weight by 1e5 for nothing.
std::vector<float> smooth_scales(std::span<const float> x_max, std::span<const float> w_max,
                                 float alpha);

/// norm.weight / s; norm.bias = (norm.bias - z) / s; bias + z · Wᵀ with the old W; W * s.
/// Arithmetic is f32, sums f64; results are rounded once, to the type they are stored in.
/// Deviation: z · Wᵀ takes the shift that the stored norm bias stands for, b - s · stored, so that
///            rounding the norm bias to bf16 or f16 does not move the output. In f32 it is z.
/// Errors: out_of_range when a value does not fit its type.
/// Threads: rows in parallel; the same bytes for any number.
FoldedGroup fold(const Context& ctx, const NormGroup& group, const ChannelMap& map);

}  // namespace pare::transform
