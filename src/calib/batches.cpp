#include "calib/batches.h"

namespace pare::calib {

std::vector<BatchRange> batch_ranges(const text::Dataset& data) {
  std::vector<BatchRange> ranges;
  for (std::size_t i = 0; i < data.sequences.size(); ++i) {
    const auto tokens = static_cast<std::int64_t>(data.sequences[i].size());
    if (ranges.empty() || ranges.back().tokens + tokens > kBatchTokens) ranges.push_back({i, 0, 0});
    ++ranges.back().count;
    ranges.back().tokens += tokens;
  }
  return ranges;
}

}  // namespace pare::calib
