// Causal attention over one sequence, blocked so that no [T, T] matrix is ever held.
#pragma once

#include <cstdint>

#include "kernels/gemm.h"
#include "pare/context.h"
#include "pare/tensor.h"

namespace pare::kernels {

struct AttentionShape {
  std::int64_t heads = 0;     // A query heads
  std::int64_t kv_heads = 0;  // K; query head h reads kv head h / (A/K)
  std::int64_t head_dim = 0;  // D
  std::int64_t window = 0;    // sliding window: key j visible to query i when i - j < window; 0 = all
  float scale = 1;            // 1/sqrt(D)
};

/// Shapes: q [T, A*D]; k, v [S, K*D] with S >= T (the last T positions are the queries' own);
///         out [T, A*D].
/// Math:   softmax over the visible keys (j <= i + S - T) of scale * q·k, in f32 with the row
///         maximum taken out; then the weighted sum of v.
/// Compute bf16 may round q, k, v and the probabilities to bf16 before products.
/// Threads: heads and query blocks in parallel; same bytes for any thread count.
void attention(const Context& ctx, const AttentionShape& shape, MatrixView<const float> q,
               MatrixView<const float> k, MatrixView<const float> v, MatrixView<float> out,
               Compute compute);
/// The same on one of available_isas(), for tests.
void attention(const Context& ctx, const AttentionShape& shape, MatrixView<const float> q,
               MatrixView<const float> k, MatrixView<const float> v, MatrixView<float> out,
               Compute compute, Isa isa);

}  // namespace pare::kernels
