// How calibration sequences are joined into batches.
#pragma once

#include "text/datasets/dataset.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pare::calib {

/// Sequences that go through a block together: rows enough to fill the products.
inline constexpr std::int64_t kBatchTokens = 2048;

/// Whole sequences [first, first + count) with `tokens` in all.
struct BatchRange {
  std::size_t first = 0;
  std::size_t count = 0;
  std::int64_t tokens = 0;
};

/// All sequences in order; each batch holds at most kBatchTokens, or one longer sequence alone.
std::vector<BatchRange> batch_ranges(std::span<const std::vector<std::int32_t>> sequences);
std::vector<BatchRange> batch_ranges(const text::Dataset& data);

}  // namespace pare::calib
