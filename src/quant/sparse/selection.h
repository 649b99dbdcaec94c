// The k-th largest magnitude of a row or of a whole weight: exact, and the same for any number of
// threads, but without sorting.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

#include <cstdint>
#include <span>
#include <vector>

namespace pare::quant {

/// The k-th largest |w| of the whole weight [O, I], 1 <= k <= O * I; equal values count each.
/// Errors: not_finite, naming row and column. Threads: rows in parallel.
float kth_largest_magnitude(const Context& ctx, const TensorView& weight, std::int64_t k);

/// The same of single rows; keeps its memory from row to row.
class RowSelector {
 public:
  /// The k-th largest |x|, 1 <= k <= size; infinities and NaN count as the largest.
  float kth_largest(std::span<const float> row, std::int64_t k);

 private:
  std::vector<std::int32_t> sample_;
  std::vector<std::int32_t> between_;
};

}  // namespace pare::quant
