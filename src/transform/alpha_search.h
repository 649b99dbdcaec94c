// The search for the strength of smoothing that loses least when activations and weights are
// rounded.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

#include <cstdint>
#include <functional>
#include <span>

namespace pare::transform {

/// Turns a float weight [O, D] in place into what its codes will stand for.
using FakeQuantizeWeight = std::function<void(const Context& ctx, MatrixView<float> weight)>;

/// One norm's output and the linears that read it.
struct SearchProblem {
  MatrixView<const float> rows;  // [R, D] of the centred input
  std::span<const float> x_max;  // [D]: largest |centred input| of all tokens, not of `rows` alone
  std::span<const float> w_max;  // [D]: column_maxima of `weights`
  std::span<const TensorView> weights;  // [O, D] each; one matrix, row below row
  /// Whether rows of a weight are recovered on their own: then they are tried in pieces.
  bool row_by_row = true;
};

/// Best alpha of two grids in [0, 1]: `intervals` + 1 values over the whole range, then as many
/// around the best of them; the answer is the best of the second grid, the first of equals.
///
/// Math: for each alpha t = w_max^(1-alpha) / x_max^alpha; W' = fake_quantize(W · 1/t);
///       X' = int8(X · t), symmetric with one scale; loss = sqrt(sum((X Wᵀ - X' W'ᵀ)^4)).
/// Source: docs/smoothing.md.
/// Deviation: a channel with x_max 0 takes part with t = 1, where the reference divides by 0.
/// Threads: the same result for any number.
float search_alpha(const Context& ctx, const SearchProblem& problem, int intervals,
                   const FakeQuantizeWeight& fake_quantize);

/// Products [R, D] · [D, O] that a search with `intervals` comes to.
constexpr int search_products(int intervals) noexcept { return 2 * (intervals + 1) + 1; }

/// Memory of a search over `rows` rows, `out` outputs in all and `in` channels, in bytes.
std::size_t search_bytes(std::int64_t rows, std::int64_t out, std::int64_t in, bool row_by_row);

}  // namespace pare::transform
