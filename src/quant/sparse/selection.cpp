// A sample says between which two magnitudes the answer must almost certainly lie; one pass counts
// what lies above and keeps what lies between, a few thousandths of all, and the answer is selected
// among those. Where the sample was wrong the counts say so, and bisection finds the answer.
// Magnitudes are the bits of non-negative f32, which sort as the numbers do.
#include "quant/sparse/selection.h"

#include "kernels/outliers.h"
#include "quant/row_blocks.h"
#include "quant/scale_of_range.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

namespace pare::quant {
namespace {

constexpr std::int32_t kLargestFinite = 0x7F7FFFFF;
constexpr std::int32_t kLargestBits = 0x7FFFFFFF;  // of a NaN, which a row may still hold
constexpr std::int64_t kTensorSample = 32768;
constexpr double kTensorReach = 6;  // a wrong guess costs some thirty passes over the weight
constexpr std::int64_t kRowSample = 512;
constexpr double kRowReach = 3.5;  // here they are in the cache, and more values between cost more

std::int32_t magnitude_bits(float x) noexcept {
  return std::bit_cast<std::int32_t>(x) & 0x7FFFFFFF;
}

struct Bracket {
  std::int32_t low = 0;
  std::int32_t high = kLargestBits;
};

/// Bounds around the k-th largest of `count` values, from a sample of them: `reach` standard
/// deviations of the sample's rank to both sides. Reorders the sample.
Bracket guess(std::vector<std::int32_t>& sample, std::int64_t k, std::int64_t count, double reach) {
  const auto size = static_cast<double>(sample.size());
  const double share = static_cast<double>(k) / static_cast<double>(count);
  const double rank = share * size;
  const double margin = reach * std::sqrt(rank * (1 - share)) + 2;
  Bracket bracket;
  auto begin = sample.begin();
  if (rank - margin >= 0) {
    begin += static_cast<std::ptrdiff_t>(rank - margin);
    std::nth_element(sample.begin(), begin, sample.end(), std::greater<>());
    bracket.high = *begin;
  }
  if (rank + margin < size) {
    const auto low = sample.begin() + static_cast<std::ptrdiff_t>(rank + margin);
    std::nth_element(begin, low, sample.end(), std::greater<>());
    bracket.low = std::min(*low, kLargestFinite);  // whatever is above shows in the counts
  }
  return bracket;
}

std::int64_t count_above(std::span<const std::int32_t> values, std::int32_t bound) noexcept {
  return kernels::count_above(values.data(), static_cast<std::int64_t>(values.size()), bound);
}

/// The rank-th largest of `values`, which lie strictly between the bounds; 1 <= rank <= size.
/// Some twenty counts in vectors take less time than a partition with its unforeseeable branches.
std::int32_t nth_largest(std::span<const std::int32_t> values, std::int64_t rank,
                         Bracket bracket) noexcept {
  std::int32_t low = bracket.low;    // at least `rank` values are above
  std::int32_t high = bracket.high;  // fewer are
  while (high - low > 1) {
    const std::int32_t middle = low + (high - low) / 2;
    if (count_above(values, middle) < rank) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}

/// The largest of a few bounds that at least `rank` of `values` are above; 0 when there is none.
/// A search that ends when it is near saves the time of an exact one.
std::int32_t bound_below(const std::vector<std::int32_t>& values, std::int64_t rank) noexcept {
  std::int32_t low = 0;
  std::int32_t high = kLargestFinite;
  while (high - low > 1) {
    const std::int32_t middle = low + (high - low) / 2;
    const std::int64_t above = count_above(values, middle);
    if (above < rank) {
      high = middle;
      continue;
    }
    low = middle;
    if (above <= rank + rank / 8) break;
  }
  return low;
}

/// As guess, for a sample so small that counting it is faster than putting it in order.
Bracket quick_guess(const std::vector<std::int32_t>& sample, std::int64_t k, std::int64_t count) {
  const auto size = static_cast<double>(sample.size());
  const double share = static_cast<double>(k) / static_cast<double>(count);
  const double rank = share * size;
  const double margin = kRowReach * std::sqrt(rank * (1 - share)) + 2;
  Bracket bracket;
  if (rank + margin < size) {
    bracket.low = bound_below(sample, static_cast<std::int64_t>(rank + margin));
  }
  // From above it pays when it leaves out much: for large k.
  if (rank > 4 * margin) {
    bracket.high = bound_below(sample, static_cast<std::int64_t>(rank - margin) * 8 / 9) + 1;
  }
  return bracket;
}

/// Selects with `count(bracket, between)`, which counts all values and stores those between.
template <class Count>
float select(std::int64_t k, Bracket bracket, std::vector<std::int32_t>& between,
             const Count& count) {
  std::int32_t least = 0;
  std::int32_t most = kLargestBits;
  while (true) {
    const kernels::MagnitudeCounts counts = count(bracket, between);
    std::int64_t rank = k - counts.above;
    if (rank <= 0) {
      least = bracket.high + 1;
    } else if (rank <= counts.at_high) {
      return std::bit_cast<float>(bracket.high);
    } else if ((rank -= counts.at_high) <= counts.between) {
      const auto kept = static_cast<std::size_t>(counts.between);
      return std::bit_cast<float>(nth_largest(std::span(between).first(kept), rank, bracket));
    } else if (rank - counts.between <= counts.at_low) {
      return std::bit_cast<float>(bracket.low);
    } else {
      most = bracket.low - 1;
    }
    const std::int32_t middle = least + (most - least) / 2;
    bracket = {middle, middle};
  }
}

/// Values at places that no regular pattern of a weight follows.
std::vector<std::int32_t> sample_of(const TensorView& weight) {
  const auto count = static_cast<std::uint64_t>(weight.numel());
  const std::size_t width = size_of(weight.dtype);
  std::vector<std::int32_t> sample;
  sample.reserve(kTensorSample);
  std::uint64_t state = 0x9E3779B97F4A7C15U;
  for (std::int64_t i = 0; i < kTensorSample; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t place = (state >> 33) * count >> 31;
    float value = 0;
    kernels::widen_row(weight.dtype, weight.data.data() + place * width, 1, &value);
    sample.push_back(magnitude_bits(value));
  }
  return sample;
}

void add(kernels::MagnitudeCounts& sum, const kernels::MagnitudeCounts& part) noexcept {
  sum.above += part.above;
  sum.at_high += part.at_high;
  sum.between += part.between;
  sum.at_low += part.at_low;
}

/// Counts and values between the bounds of one block of rows.
struct Part {
  kernels::MagnitudeCounts counts;
  std::vector<std::int32_t> between;
};

Part count_rows(const TensorView& weight, std::int64_t begin, std::int64_t end, Bracket bracket) {
  const std::int64_t columns = weight.shape[1];
  WidenedRow reader;
  std::vector<std::int32_t> between(static_cast<std::size_t>(columns + kernels::kMagnitudeSlack));
  Part part;
  for (std::int64_t r = begin; r < end; ++r) {
    const std::span<const float> row = reader.read(weight, r);
    const kernels::MagnitudeCounts counts =
        kernels::count_magnitudes(row.data(), columns, bracket.low, bracket.high, between.data());
    if (!counts.finite) check_row_finite(weight, r, 0, columns);
    add(part.counts, counts);
    part.between.insert(part.between.end(), between.begin(), between.begin() + counts.between);
  }
  return part;
}

}  // namespace

float kth_largest_magnitude(const Context& ctx, const TensorView& weight, std::int64_t k) {
  const std::int64_t rows = weight.shape[0];
  const std::int64_t columns = weight.shape[1];
  std::vector<std::int32_t> sample = sample_of(weight);
  std::vector<std::int32_t> between;
  const auto count = [&](Bracket bracket, std::vector<std::int32_t>& kept) {
    std::vector<Part> parts(static_cast<std::size_t>(row_blocks(rows, columns)));
    for_row_blocks(ctx, rows, columns, [&](std::int64_t begin, std::int64_t end) {
      parts[static_cast<std::size_t>(begin / rows_per_block(columns))] =
          count_rows(weight, begin, end, bracket);
    });
    kernels::MagnitudeCounts sum;
    kept.clear();
    for (const Part& part : parts) {
      add(sum, part.counts);
      kept.insert(kept.end(), part.between.begin(), part.between.end());
    }
    return sum;
  };
  return select(k, guess(sample, k, weight.numel(), kTensorReach), between, count);
}

float RowSelector::kth_largest(std::span<const float> row, std::int64_t k) {
  const auto columns = static_cast<std::int64_t>(row.size());
  between_.resize(row.size() + static_cast<std::size_t>(kernels::kMagnitudeSlack));
  const auto count = [&](Bracket bracket, std::vector<std::int32_t>& between) {
    return kernels::count_magnitudes(row.data(), columns, bracket.low, bracket.high,
                                     between.data());
  };
  if (columns <= 2 * kRowSample) return select(k, {}, between_, count);
  sample_.clear();
  for (std::uint32_t i = 0; i < kRowSample; ++i) {
    const std::uint64_t place = i * 0x9E3779B9U;  // mod 2^32: the golden ratio spreads them evenly
    sample_.push_back(magnitude_bits(row[place * row.size() >> 32]));
  }
  return select(k, quick_guess(sample_, k, columns), between_, count);
}

}  // namespace pare::quant
