// Powers by exp2(exponent * log2 |x|), in f64 and without fused operations, so that the bits do not
// depend on the instruction set. Written once with Highway.
#include "kernels/power.h"

#include <cstddef>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/power.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per target
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pare::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Adding it to a whole number n of a magnitude below 2^50 leaves n in the low bits.
constexpr double kMagic = 0x1.8p52;
constexpr std::int64_t kMagicBits = 0x4338000000000000;
constexpr std::int64_t kMantissa = 0x000FFFFFFFFFFFFF;
constexpr std::int64_t kOneBits = 0x3FF0000000000000;

/// c[0] + x * (c[1] + x * (…)).
template <class DD, std::size_t N>
HWY_INLINE hn::Vec<DD> polynomial(DD dd, hn::Vec<DD> x, const double (&c)[N]) noexcept {
  auto sum = hn::Set(dd, c[N - 1]);
  for (std::size_t i = N - 1; i-- > 0;)
    sum = hn::Add(hn::Mul(sum, x), hn::Set(dd, c[i]));
  return sum;
}

/// log2 of positive normal numbers: the exponent, and 2/ln 2 * atanh((m - 1) / (m + 1)) of the
/// mantissa m in [sqrt(1/2), sqrt(2)).
template <class DD>
HWY_INLINE hn::Vec<DD> log2_of(DD dd, hn::Vec<DD> x) noexcept {
  static constexpr double kSeries[] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9, 1.0 / 11,
                                       1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
  const hn::RebindToSigned<DD> di;
  const auto one = hn::Set(dd, 1.0);
  const auto bits = hn::BitCast(di, x);
  const auto biased = hn::ShiftRight<52>(bits);
  const auto mantissa =
      hn::BitCast(dd, hn::Or(hn::And(bits, hn::Set(di, kMantissa)), hn::Set(di, kOneBits)));
  const auto large = hn::Gt(mantissa, hn::Set(dd, 1.4142135623730951));
  const auto m = hn::IfThenElse(large, hn::Mul(mantissa, hn::Set(dd, 0.5)), mantissa);
  const auto whole = hn::Sub(hn::BitCast(dd, hn::Add(biased, hn::Set(di, kMagicBits))),
                             hn::Set(dd, kMagic + 1023));
  const auto exponent = hn::Add(whole, hn::IfThenElseZero(large, one));
  const auto s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const auto series = hn::Mul(s, polynomial(dd, hn::Mul(s, s), kSeries));
  return hn::Add(exponent, hn::Mul(series, hn::Set(dd, 2.8853900817779268)));
}

/// 2^t for |t| <= 1000: 2^n times the Taylor series of e^(r ln 2), |r| <= 1/2.
template <class DD>
HWY_INLINE hn::Vec<DD> exp2_of(DD dd, hn::Vec<DD> t) noexcept {
  static constexpr double kSeries[] = {1.0,
                                       1.0,
                                       1.0 / 2,
                                       1.0 / 6,
                                       1.0 / 24,
                                       1.0 / 120,
                                       1.0 / 720,
                                       1.0 / 5040,
                                       1.0 / 40320,
                                       1.0 / 362880,
                                       1.0 / 3628800,
                                       1.0 / 39916800,
                                       1.0 / 479001600,
                                       1.0 / 6227020800};
  const hn::RebindToSigned<DD> di;
  const auto shifted = hn::Add(t, hn::Set(dd, kMagic));
  const auto r = hn::Sub(t, hn::Sub(shifted, hn::Set(dd, kMagic)));
  const auto power = polynomial(dd, hn::Mul(r, hn::Set(dd, 0.6931471805599453)), kSeries);
  const auto n = hn::Sub(hn::BitCast(di, shifted), hn::Set(di, kMagicBits));
  return hn::BitCast(dd, hn::Add(hn::BitCast(di, power), hn::ShiftLeft<52>(n)));
}

template <class DD>
HWY_INLINE hn::Vec<DD> positive_power(DD dd, hn::Vec<DD> x, double exponent) noexcept {
  const auto t = hn::Mul(log2_of(dd, x), hn::Set(dd, exponent));
  return exp2_of(dd, hn::Min(hn::Max(t, hn::Set(dd, -1000.0)), hn::Set(dd, 1000.0)));
}

double one_power(double x, double exponent) {
  const hn::CappedTag<double, 1> dd;
  return hn::GetLane(positive_power(dd, hn::Set(dd, x), exponent));
}

template <class DD, class DF = hn::Rebind<float, DD>>
HWY_INLINE hn::Vec<DF> signed_power_of(DD dd, hn::Vec<DF> x, double exponent) noexcept {
  const DF df;
  const auto zero = hn::Eq(x, hn::Zero(df));
  const auto magnitude = hn::IfThenElse(zero, hn::Set(df, 1.0F), hn::Abs(x));
  const auto exact = positive_power(dd, hn::PromoteTo(dd, magnitude), exponent);
  const auto largest = hn::Set(dd, static_cast<double>(std::numeric_limits<float>::max()));
  const auto power = hn::DemoteTo(df, hn::Min(exact, largest));
  return hn::CopySign(hn::IfThenZeroElse(zero, power), x);
}

void powers(const float* x, std::int64_t count, double exponent, float* out) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(dd));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(signed_power_of(dd, hn::LoadU(df, x + i), exponent), df, out + i);
  }
  if (i >= count) return;
  float last[HWY_MAX_BYTES / sizeof(double)] = {};
  const std::size_t left = static_cast<std::size_t>(count - i) * sizeof(float);
  std::memcpy(last, x + i, left);
  hn::StoreU(signed_power_of(dd, hn::LoadU(df, last), exponent), df, last);
  std::memcpy(out + i, last, left);
}

/// The difference of a magnitude and its level, 0 above the limit.
template <class DF>
HWY_INLINE hn::Vec<DF> off_level(DF df, hn::Vec<DF> x, float limit,
                                 const PowerLevels& levels) noexcept {
  const auto magnitude = hn::Abs(x);
  auto level = hn::Zero(df);
  for (int j = 1; j < PowerLevels::kCount; ++j) {
    const auto reached = hn::Ge(magnitude, hn::Set(df, levels.starts[j]));
    level = hn::IfThenElse(reached, hn::Set(df, levels.values[j]), level);
  }
  const auto inlier = hn::Le(magnitude, hn::Set(df, limit));
  return hn::IfThenElseZero(inlier, hn::Sub(magnitude, level));
}

// Part k takes the values k, k + 16, k + 32, … whatever the vector length.
constexpr std::int64_t kParts = 16;

double error_of(const float* x, std::int64_t count, float limit, const PowerLevels& levels) {
  const hn::CappedTag<double, static_cast<std::size_t>(kParts)> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(dd));
  const auto square = [&](const float* from) HWY_ATTR {
    const auto off = hn::PromoteTo(dd, off_level(df, hn::LoadU(df, from), limit, levels));
    return hn::Mul(off, off);
  };
  const std::int64_t whole = count / kParts * kParts;
  float last[kParts] = {};  // zeros lie on their level
  std::memcpy(last, x + whole, static_cast<std::size_t>(count - whole) * sizeof(float));
  double parts[kParts] = {};
  for (std::int64_t k = 0; k < kParts; k += lanes) {
    auto sum = hn::Zero(dd);
    for (std::int64_t i = k; i < whole; i += kParts)
      sum = hn::Add(sum, square(x + i));
    hn::StoreU(hn::Add(sum, square(last + k)), dd, parts + k);
  }
  double sum = 0;
  for (const double part : parts)
    sum += part;
  return sum;
}

}  // namespace
}  // namespace pare::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pare::kernels {

HWY_EXPORT(powers);
HWY_EXPORT(one_power);
HWY_EXPORT(error_of);

void signed_power(const float* x, std::int64_t count, double exponent, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(powers)(x, count, exponent, out);
}

double power_of(double x, double exponent) noexcept {
  return HWY_DYNAMIC_DISPATCH(one_power)(x, exponent);
}

double power_error(const float* x, std::int64_t count, float limit,
                   const PowerLevels& levels) noexcept {
  return HWY_DYNAMIC_DISPATCH(error_of)(x, count, limit, levels);
}

}  // namespace pare::kernels
#endif  // HWY_ONCE
