// The correction that devices need whose 4-bit kernels split 8-bit activations into nibbles: eight
// times the weights of a row, summed.
//
// Math: scale_bias[o][r] = 8 * sum over the inputs i of run r of w[o][i]
//       A row has one run of all inputs, or, where engines split the inputs among devices
//       (o_proj, down_proj), 16 runs of I / 16 neighbours, which 1, 2, 4, 8 or 16 devices can add
//       up again.
// Source: docs/formats/ascend.md, "Two stages"
#pragma once

#include "pare/quantized_linear.h"

#include <cstdint>
#include <vector>

namespace pare::layout {

/// Runs per row: 16 for linears whose inputs are split among devices, else 1.
std::int64_t scale_bias_runs(bool row_parallel) noexcept;

/// Shapes: [O, runs] row-major; `runs` divides I. The linear has two stages of scales.
/// Summed in f64 in the order of the inputs, rounded to f32 once.
/// Deviation: msModelSlim rounds both scales to bf16 first, and decides by the name of the module
/// how many runs there are.
/// Errors: out_of_range when a sum is infinite in f32.
std::vector<float> scale_biases(const quant::QuantizedLinear& q, std::int64_t runs);

/// How far, per value, msModelSlim's bf16 scales may move a sum: [O, runs].
std::vector<float> scale_bias_tolerances(const quant::QuantizedLinear& q, std::int64_t runs);

}  // namespace pare::layout
