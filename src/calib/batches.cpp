#include "calib/batches.h"

namespace pare::calib {

std::vector<BatchRange> batch_ranges(std::span<const std::vector<std::int32_t>> sequences) {
  std::vector<BatchRange> ranges;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto tokens = static_cast<std::int64_t>(sequences[i].size());
    if (ranges.empty() || ranges.back().tokens + tokens > kBatchTokens) ranges.push_back({i, 0, 0});
    ++ranges.back().count;
    ranges.back().tokens += tokens;
  }
  return ranges;
}

std::vector<BatchRange> batch_ranges(const text::Dataset& data) {
  return batch_ranges(std::span(data.sequences));
}

}  // namespace pare::calib
