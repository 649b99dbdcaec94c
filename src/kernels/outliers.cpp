// Kernels of sparse quantization, written once with Highway and compiled for every instruction set;
// the one the CPU has is chosen at run time. The end of a row runs through a padded copy.
#include "kernels/outliers.h"

#include <cstddef>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/outliers.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per target
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pare::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The longest vector a target may have, for buffers that hold the end of a row.
constexpr std::size_t kMaxLanes = HWY_MAX_BYTES / sizeof(float);
static_assert(kMaxLanes <= static_cast<std::size_t>(kMagnitudeSlack));

constexpr std::int32_t kInfinityBits = 0x7F800000;

/// The last `left` values of a row, then copies of the first of them.
HWY_INLINE void pad(const float* x, std::int64_t left, float* buffer) noexcept {
  std::memcpy(buffer, x, static_cast<std::size_t>(left) * sizeof(float));
  for (auto i = static_cast<std::size_t>(left); i < kMaxLanes; ++i)
    buffer[i] = x[0];
}

/// Counts in lanes, without branches: which values pass cannot be foreseen.
template <class DI>
struct CountLanes {
  using V = hn::Vec<DI>;
  V above_high;
  V at_low;
  V at_high;
  V largest;

  HWY_INLINE explicit CountLanes(DI di) noexcept
      : above_high(hn::Zero(di)),
        at_low(hn::Zero(di)),
        at_high(hn::Zero(di)),
        largest(hn::Zero(di)) {}

  /// Adds magnitudes; returns the mask of those strictly between.
  HWY_INLINE hn::Mask<DI> add(DI di, V x, V low, V high) noexcept {
    const auto over = hn::Gt(x, high);
    const auto equal = hn::Eq(x, high);
    const auto candidate = hn::Gt(x, low);
    above_high = hn::Sub(above_high, hn::VecFromMask(di, over));
    at_low = hn::Sub(at_low, hn::VecFromMask(di, hn::Eq(x, low)));
    at_high = hn::Sub(at_high, hn::VecFromMask(di, equal));
    largest = hn::Max(largest, x);
    return hn::AndNot(hn::Or(over, equal), candidate);
  }
};

MagnitudeCounts count_between(const float* x, std::int64_t count, std::int32_t low,
                              std::int32_t high, std::int32_t* between) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const auto lows = hn::Set(di, low);
  const auto highs = hn::Set(di, high);
  CountLanes<decltype(di)> sums(di);
  std::int64_t kept = 0;
  const auto add = [&](hn::Vec<decltype(di)> magnitude) HWY_ATTR {
    const auto inside = sums.add(di, magnitude, lows, highs);
    hn::StoreU(hn::Compress(magnitude, inside), di, between + kept);
    kept += static_cast<std::int64_t>(hn::CountTrue(di, inside));
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    add(hn::BitCast(di, hn::Abs(hn::LoadU(df, x + i))));
  }
  if (i < count) {
    float last[kMaxLanes];
    pad(x + i, count - i, last);
    const auto valid = hn::FirstN(di, static_cast<std::size_t>(count - i));
    const auto magnitude = hn::BitCast(di, hn::Abs(hn::LoadU(df, last)));
    add(hn::IfThenElse(valid, magnitude, hn::Set(di, -1)));  // -1 lies below every bound
  }
  const auto total = [&](hn::Vec<decltype(di)> v) HWY_ATTR {
    return static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(di, v)));
  };
  MagnitudeCounts counts;
  counts.above = total(sums.above_high);
  counts.at_high = total(sums.at_high);
  counts.between = kept;
  counts.at_low = low < high ? total(sums.at_low) : 0;
  counts.finite = hn::GetLane(hn::MaxOfLanes(di, sums.largest)) < kInfinityBits;
  return counts;
}

std::int64_t count_greater(const std::int32_t* values, std::int64_t count, std::int32_t bound) {
  const hn::ScalableTag<std::int32_t> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(di));
  const auto bounds = hn::Set(di, bound);
  auto above = hn::Zero(di);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    above = hn::Sub(above, hn::VecFromMask(di, hn::Gt(hn::LoadU(di, values + i), bounds)));
  }
  std::int64_t sum = hn::GetLane(hn::SumOfLanes(di, above));
  for (; i < count; ++i)
    sum += values[i] > bound ? 1 : 0;
  return sum;
}

LargestMagnitudes largest_of(const float* x, std::int64_t count, float limit) {
  LargestMagnitudes result;
  if (count <= 0) return result;
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  using VI = hn::Vec<decltype(di)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const VI limits = hn::BitCast(di, hn::Set(df, limit));
  VI all = hn::Zero(di);
  VI inlier = hn::Zero(di);
  const auto add = [&](const float* from) HWY_ATTR {
    const VI magnitude = hn::BitCast(di, hn::Abs(hn::LoadU(df, from)));
    all = hn::Max(all, magnitude);
    inlier = hn::Max(inlier, hn::IfThenZeroElse(hn::Gt(magnitude, limits), magnitude));
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    add(x + i);
  if (i < count) {
    float last[kMaxLanes];
    pad(x + i, count - i, last);
    add(last);
  }
  const VI largest_inlier = hn::MaxOfLanes(di, inlier);
  const VI largest = hn::MaxOfLanes(di, all);
  result.inlier = hn::GetLane(hn::BitCast(df, largest_inlier));
  result.all = hn::GetLane(hn::BitCast(df, largest));
  result.finite = hn::GetLane(largest) < kInfinityBits;
  return result;
}

// Part k takes the values k, k + 16, k + 32, … whatever the vector length, so that sums have the
// same bits everywhere: a short vector walks the row several times.
constexpr std::int64_t kParts = 16;

/// Sum over the row of fn(|x|); `fn` maps a vector, `one` a single value in the same way.
template <class Fn, class One>
HWY_INLINE double sum_of(const float* x, std::int64_t count, const Fn& fn, const One& one) {
  const hn::CappedTag<double, static_cast<std::size_t>(kParts / 2)> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(dd));
  const std::int64_t whole = count / kParts * kParts;
  double parts[kParts] = {};
  for (std::int64_t k = 0; k < kParts; k += 2 * lanes) {
    auto first = hn::Zero(dd);
    auto second = hn::Zero(dd);
    for (std::int64_t i = k; i < whole; i += kParts) {
      first = hn::Add(first, fn(dd, hn::PromoteTo(dd, hn::Abs(hn::LoadU(df, x + i)))));
      second = hn::Add(second, fn(dd, hn::PromoteTo(dd, hn::Abs(hn::LoadU(df, x + i + lanes)))));
    }
    hn::StoreU(first, dd, parts + k);
    hn::StoreU(second, dd, parts + k + lanes);
  }
  for (std::int64_t i = whole; i < count; ++i) {
    const double value = static_cast<double>(x[i]);
    parts[i - whole] += one(value < 0 ? -value : value);
  }
  double sum = 0;
  for (const double part : parts)
    sum += part;
  return sum;
}

double variance_of(const float* x, std::int64_t count) {
  if (count < 2) return 0;
  const double sum = sum_of(
      x, count, [](auto, auto v) HWY_ATTR { return v; }, [](double v) { return v; });
  const double mean = sum / static_cast<double>(count);
  const double squares = sum_of(
      x, count,
      [mean](auto dd, auto v) HWY_ATTR {
        const auto off = hn::Sub(v, hn::Set(dd, mean));
        return hn::Mul(off, off);
      },
      [mean](double v) { return (v - mean) * (v - mean); });
  return squares / static_cast<double>(count - 1);
}

/// Calls fn(code, scale) per vector and stores what it gives.
template <class DF>
struct Split {
  using V = hn::Vec<DF>;
  V code;
  V scale;

  // Clamping before rounding gives the same code, as bounds are whole. After it, adding and taking
  // away 1.5 * 2^23 rounds half to even on every target.
  HWY_INLINE Split(DF df, V value, V weight, const SplitGrid& grid) noexcept {
    const auto outlier = hn::Gt(hn::Abs(weight), hn::Set(df, grid.limit));
    scale =
        hn::IfThenElse(outlier, hn::Set(df, grid.outlier_scale), hn::Set(df, grid.inlier_scale));
    const V bound = hn::IfThenElse(outlier, hn::Set(df, 127.0F), hn::Set(df, grid.inlier_bound));
    const V inside = hn::Min(hn::Max(hn::Div(value, scale), hn::Neg(bound)), bound);
    const V large = hn::Set(df, 0x1.8p23F);
    code = hn::Sub(hn::Add(inside, large), large);
  }
};

void codes_of(const float* values, const float* weights, std::int64_t count, const SplitGrid& grid,
              std::int8_t* codes) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<std::int8_t, decltype(df)> d8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const auto codes_at = [&](const float* v, const float* w) HWY_ATTR {
    const Split<decltype(df)> split(df, hn::LoadU(df, v), hn::LoadU(df, w), grid);
    return hn::DemoteTo(d8, hn::ConvertTo(di, split.code));
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(codes_at(values + i, weights + i), d8, codes + i);
  }
  if (i >= count) return;
  float last_values[kMaxLanes];
  float last_weights[kMaxLanes];
  std::int8_t last_codes[kMaxLanes];
  pad(values + i, count - i, last_values);
  pad(weights + i, count - i, last_weights);
  hn::StoreU(codes_at(last_values, last_weights), d8, last_codes);
  std::memcpy(codes + i, last_codes, static_cast<std::size_t>(count - i));
}

void values_of(const float* values, const float* weights, std::int64_t count, const SplitGrid& grid,
               float* out) {
  const hn::ScalableTag<float> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const auto values_at = [&](const float* v, const float* w) HWY_ATTR {
    const Split<decltype(df)> split(df, hn::LoadU(df, v), hn::LoadU(df, w), grid);
    return hn::Mul(split.code, split.scale);
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(values_at(values + i, weights + i), df, out + i);
  }
  if (i >= count) return;
  float last_values[kMaxLanes];
  float last_weights[kMaxLanes];
  pad(values + i, count - i, last_values);
  pad(weights + i, count - i, last_weights);
  hn::StoreU(values_at(last_values, last_weights), df, last_values);
  std::memcpy(out + i, last_values, static_cast<std::size_t>(count - i) * sizeof(float));
}

}  // namespace
}  // namespace pare::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pare::kernels {

HWY_EXPORT(count_between);
HWY_EXPORT(count_greater);
HWY_EXPORT(largest_of);
HWY_EXPORT(variance_of);
HWY_EXPORT(codes_of);
HWY_EXPORT(values_of);

MagnitudeCounts count_magnitudes(const float* x, std::int64_t count, std::int32_t low,
                                 std::int32_t high, std::int32_t* between) noexcept {
  return HWY_DYNAMIC_DISPATCH(count_between)(x, count, low, high, between);
}

std::int64_t count_above(const std::int32_t* values, std::int64_t count,
                         std::int32_t bound) noexcept {
  return HWY_DYNAMIC_DISPATCH(count_greater)(values, count, bound);
}

LargestMagnitudes largest_magnitudes(const float* x, std::int64_t count, float limit) noexcept {
  return HWY_DYNAMIC_DISPATCH(largest_of)(x, count, limit);
}

double variance_of_magnitudes(const float* x, std::int64_t count) noexcept {
  return HWY_DYNAMIC_DISPATCH(variance_of)(x, count);
}

void split_codes(const float* values, const float* weights, std::int64_t count,
                 const SplitGrid& grid, std::int8_t* codes) noexcept {
  HWY_DYNAMIC_DISPATCH(codes_of)(values, weights, count, grid, codes);
}

void split_values(const float* values, const float* weights, std::int64_t count,
                  const SplitGrid& grid, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(values_of)(values, weights, count, grid, out);
}

}  // namespace pare::kernels
#endif  // HWY_ONCE
