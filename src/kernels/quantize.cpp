// Row kernels of quantization, written once with Highway and compiled for every instruction set;
// the one the CPU has is chosen at run time.
#include "kernels/quantize.h"

#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per target
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pare::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The longest vector a target may have, for buffers that hold the end of a row.
constexpr std::size_t kMaxLanes = HWY_MAX_BYTES / sizeof(float);

/// A vector from bytes of any alignment.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_bytes(D d, const std::byte* bytes) noexcept {
#if HWY_TARGET == HWY_SCALAR
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return hn::Set(d, value);
#else
  return hn::LoadU(d, reinterpret_cast<const T*>(bytes));
#endif
}

// How values of one type become f32 vectors.
struct FromF32 {
  static constexpr std::int64_t kBytes = 4;
  template <class DF>
  static HWY_INLINE hn::Vec<DF> load(DF df, const std::byte* bytes) noexcept {
    return load_bytes(df, bytes);
  }
};

struct FromBF16 {
  static constexpr std::int64_t kBytes = 2;
  template <class DF>
  static HWY_INLINE hn::Vec<DF> load(DF df, const std::byte* bytes) noexcept {
    const hn::RebindToUnsigned<DF> du;
    const auto bits = load_bytes(hn::Rebind<std::uint16_t, DF>(), bytes);
    return hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
  }
};

struct FromF16 {
  static constexpr std::int64_t kBytes = 2;
  // By bit arithmetic: the library's own conversion has no infinities on targets without F16C.
  // The exponent is rebased by a product with 2^112, exact for normal and subnormal values alike.
  template <class DF>
  static HWY_INLINE hn::Vec<DF> load(DF df, const std::byte* bytes) noexcept {
    const hn::RebindToUnsigned<DF> du;
    const auto half = hn::PromoteTo(du, load_bytes(hn::Rebind<std::uint16_t, DF>(), bytes));
    const auto sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(du, 0x8000U)));
    const auto magnitude = hn::And(half, hn::Set(du, 0x7FFFU));
    const auto shifted = hn::BitCast(df, hn::ShiftLeft<13>(magnitude));
    const auto rebased = hn::BitCast(du, hn::Mul(shifted, hn::Set(df, 0x1p112F)));
    const auto special = hn::Eq(hn::And(half, hn::Set(du, 0x7C00U)), hn::Set(du, 0x7C00U));
    const auto exponent = hn::IfThenElseZero(special, hn::Set(du, 0x7F800000U));
    return hn::BitCast(df, hn::Or(hn::Or(rebased, exponent), sign));
  }
};

/// Copies the `left` values at `bytes` into `buffer` and repeats the last one up to `lanes`.
template <class Source>
HWY_INLINE void fill_last(const std::byte* bytes, std::int64_t left, std::int64_t lanes,
                          std::byte* buffer) noexcept {
  std::memcpy(buffer, bytes, static_cast<std::size_t>(left * Source::kBytes));
  const std::byte* last = bytes + (left - 1) * Source::kBytes;
  for (std::int64_t i = left; i < lanes; ++i) {
    std::memcpy(buffer + i * Source::kBytes, last, static_cast<std::size_t>(Source::kBytes));
  }
}

/// Running range; the largest magnitude is kept as bits because those of NaN and infinity are the
/// largest of all.
template <class DF>
struct RangeLanes {
  using V = hn::Vec<DF>;
  using VI = hn::Vec<hn::RebindToSigned<DF>>;
  V min;
  V max;
  VI magnitude;

  HWY_INLINE explicit RangeLanes(DF df) noexcept
      : min(hn::Set(df, std::numeric_limits<float>::max())),
        max(hn::Set(df, std::numeric_limits<float>::lowest())),
        magnitude(hn::Zero(hn::RebindToSigned<DF>())) {}

  HWY_INLINE void add(DF df, V x) noexcept {
    const hn::RebindToSigned<DF> di;
    min = hn::Min(min, x);
    max = hn::Max(max, x);
    magnitude = hn::Max(magnitude, hn::BitCast(di, hn::Abs(x)));
    static_cast<void>(df);
  }

  HWY_INLINE void merge(const RangeLanes& other) noexcept {
    min = hn::Min(min, other.min);
    max = hn::Max(max, other.max);
    magnitude = hn::Max(magnitude, other.magnitude);
  }

  HWY_INLINE MinMax result(DF df) const noexcept {
    const hn::RebindToSigned<DF> di;
    const std::int32_t largest = hn::GetLane(hn::MaxOfLanes(di, magnitude));
    // Adding +0 makes a zero positive, whichever zero of the two was met first.
    return {hn::GetLane(hn::MinOfLanes(df, min)) + 0.0F,
            hn::GetLane(hn::MaxOfLanes(df, max)) + 0.0F, largest < 0x7F800000};
  }
};

template <class Source>
MinMax min_max_of(const std::byte* data, std::int64_t count) noexcept {
  if (count <= 0) return {};
  const hn::ScalableTag<float> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const std::int64_t step = lanes * Source::kBytes;
  RangeLanes<decltype(df)> even(df);
  RangeLanes<decltype(df)> odd(df);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const std::byte* bytes = data + i * Source::kBytes;
    even.add(df, Source::load(df, bytes));
    odd.add(df, Source::load(df, bytes + step));
  }
  if (i + lanes <= count) {
    even.add(df, Source::load(df, data + i * Source::kBytes));
    i += lanes;
  }
  if (i < count) {
    std::byte buffer[kMaxLanes * sizeof(float)];
    fill_last<Source>(data + i * Source::kBytes, count - i, lanes, buffer);
    odd.add(df, Source::load(df, buffer));
  }
  even.merge(odd);
  return even.result(df);
}

/// The grid of a row: x / scale + zero, clamped.
struct Grid {
  float scale;
  float zero;
  float lo;
  float hi;

  // Clamping before rounding gives the same code, as lo and hi are whole. After it, adding and
  // taking away 1.5 * 2^23 rounds half to even on every target (Highway's own rounding does not
  // on the scalar one, where 0.49999997 becomes 1).
  template <class DF>
  HWY_INLINE hn::Vec<DF> code(DF df, hn::Vec<DF> x) const noexcept {
    const auto v = hn::Add(hn::Div(x, hn::Set(df, scale)), hn::Set(df, zero));
    const auto inside = hn::Min(hn::Max(v, hn::Set(df, lo)), hn::Set(df, hi));
    const auto large = hn::Set(df, 0x1.8p23F);
    return hn::Sub(hn::Add(inside, large), large);
  }
};

template <class Source>
void quantize_as(const std::byte* data, std::int64_t count, const Grid& grid,
                 std::int8_t* codes) noexcept {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<std::int8_t, decltype(df)> d8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const auto codes_at = [&](const std::byte* bytes) HWY_ATTR {
    return hn::DemoteTo(d8, hn::ConvertTo(di, grid.code(df, Source::load(df, bytes))));
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(codes_at(data + i * Source::kBytes), d8, codes + i);
  }
  if (i >= count) return;
  std::byte last[kMaxLanes * sizeof(float)];
  std::int8_t last_codes[kMaxLanes];
  fill_last<Source>(data + i * Source::kBytes, count - i, lanes, last);
  hn::StoreU(codes_at(last), d8, last_codes);
  std::memcpy(codes + i, last_codes, static_cast<std::size_t>(count - i));
}

template <class Source>
void widen_as(const std::byte* data, std::int64_t count, float* out) noexcept {
  const hn::ScalableTag<float> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(Source::load(df, data + i * Source::kBytes), df, out + i);
  }
  if (i >= count) return;
  std::byte last[kMaxLanes * sizeof(float)];
  float last_values[kMaxLanes];
  fill_last<Source>(data + i * Source::kBytes, count - i, lanes, last);
  hn::StoreU(Source::load(df, last), df, last_values);
  std::memcpy(out + i, last_values, static_cast<std::size_t>(count - i) * sizeof(float));
}

// The dispatched entry points; without noexcept, which the dispatch table cannot carry.

MinMax min_max_any(DType dtype, const std::byte* data, std::int64_t count) {
  if (dtype == DType::bf16) return min_max_of<FromBF16>(data, count);
  if (dtype == DType::f16) return min_max_of<FromF16>(data, count);
  return min_max_of<FromF32>(data, count);
}

void widen_any(DType dtype, const std::byte* data, std::int64_t count, float* out) {
  if (dtype == DType::bf16) return widen_as<FromBF16>(data, count, out);
  if (dtype == DType::f16) return widen_as<FromF16>(data, count, out);
  return widen_as<FromF32>(data, count, out);
}

void quantize_any(DType dtype, const std::byte* data, std::int64_t count, float scale, float zero,
                  int lo, int hi, std::int8_t* codes) {
  const Grid grid{scale, zero, static_cast<float>(lo), static_cast<float>(hi)};
  if (dtype == DType::bf16) return quantize_as<FromBF16>(data, count, grid, codes);
  if (dtype == DType::f16) return quantize_as<FromF16>(data, count, grid, codes);
  return quantize_as<FromF32>(data, count, grid, codes);
}

void dequantize(const std::int8_t* codes, std::int64_t count, float scale, float zero, float* out) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<std::int8_t, decltype(df)> d8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto code = hn::ConvertTo(df, hn::PromoteTo(di, hn::LoadU(d8, codes + i)));
    const auto value = hn::Mul(hn::Sub(code, hn::Set(df, zero)), hn::Set(df, scale));
    hn::StoreU(value, df, out + i);
  }
  for (; i < count; ++i)
    out[i] = (static_cast<float>(codes[i]) - zero) * scale;
}

/// The bits of f16, by the arithmetic of core/half.h for finite values.
template <class DF>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<DF>> f16_bits(DF df, hn::Vec<DF> x) noexcept {
  const hn::RebindToUnsigned<DF> du;
  const auto bits = hn::BitCast(du, x);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000U));
  const auto size = hn::And(bits, hn::Set(du, 0x7FFFFFFFU));
  const auto odd = hn::And(hn::ShiftRight<13>(size), hn::Set(du, 1U));
  const auto rebased = hn::Add(hn::Sub(size, hn::Set(du, 0x38000000U - 0xFFFU)), odd);
  const auto shifted = hn::BitCast(du, hn::Add(hn::BitCast(df, size), hn::Set(df, 0.5F)));
  const auto small = hn::And(shifted, hn::Set(du, 0x7FFU));
  const auto normal =
      hn::IfThenElse(hn::Lt(size, hn::Set(du, 0x38800000U)), small, hn::ShiftRight<13>(rebased));
  const auto large = hn::Gt(size, hn::Set(du, 0x477FFFFFU));
  return hn::Or(hn::IfThenElse(large, hn::Set(du, 0x7C00U), normal), sign);
}

bool narrow_f16(const float* x, std::int64_t count, std::byte* out) {
  const hn::ScalableTag<float> df;
  const hn::RebindToUnsigned<decltype(df)> du;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<std::uint16_t, decltype(df)> d16;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  auto largest = hn::Zero(du);
  std::uint16_t halves[kMaxLanes] = {};
  for (std::int64_t i = 0; i < count; i += lanes) {
    const std::int64_t here = count - i < lanes ? count - i : lanes;
    float last[kMaxLanes] = {};
    const bool whole = here == lanes;
    if (!whole) std::memcpy(last, x + i, static_cast<std::size_t>(here) * sizeof(float));
    const auto bits = f16_bits(df, hn::LoadU(df, whole ? x + i : last));
    largest = hn::Max(largest, hn::And(bits, hn::Set(du, 0x7FFFU)));
    hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di, bits)), d16, halves);
    std::memcpy(out + 2 * i, halves, static_cast<std::size_t>(2 * here));
  }
  return hn::GetLane(hn::MaxOfLanes(du, largest)) < 0x7C00U;
}

void fake_quantize(float* x, std::int64_t count, float scale, float zero, float lo, float hi) {
  const hn::ScalableTag<float> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const Grid grid{scale, zero, lo, hi};
  const auto fake = [&](hn::Vec<decltype(df)> v) HWY_ATTR {
    return hn::Mul(hn::Sub(grid.code(df, v), hn::Set(df, zero)), hn::Set(df, scale));
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    hn::StoreU(fake(hn::LoadU(df, x + i)), df, x + i);
  if (i >= count) return;
  float last[kMaxLanes] = {};
  const std::size_t left = static_cast<std::size_t>(count - i) * sizeof(float);
  std::memcpy(last, x + i, left);
  hn::StoreU(fake(hn::LoadU(df, last)), df, last);
  std::memcpy(x + i, last, left);
}

// Partial sum k takes the values k, k + 8, k + 16, … whatever the vector length, so that the result
// has the same bits everywhere: a short vector walks the row several times, each time with its
// share of the eight.
constexpr std::int64_t kParts = 8;

struct PartialErrors {
  double signal[kParts] = {};
  double noise[kParts] = {};
  double worst[kParts] = {};

  void add(std::int64_t k, double value, double approximation) noexcept {
    const double error = value - approximation;
    const double size = error < 0 ? -error : error;
    signal[k] += value * value;
    noise[k] += error * error;
    worst[k] = size > worst[k] ? size : worst[k];
  }

  RowError sum() const noexcept {
    RowError total;
    for (std::int64_t k = 0; k < kParts; ++k) {
      total.signal += signal[k];
      total.noise += noise[k];
      total.max_abs = worst[k] > total.max_abs ? worst[k] : total.max_abs;
    }
    return total;
  }
};

RowError error_of(const float* original, const float* approximation, std::int64_t count) {
  const hn::CappedTag<double, kParts> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(dd));
  const std::int64_t whole = count / kParts * kParts;
  PartialErrors parts;
  for (std::int64_t k = 0; k < kParts; k += lanes) {
    auto signal = hn::Zero(dd);
    auto noise = hn::Zero(dd);
    auto worst = hn::Zero(dd);
    for (std::int64_t i = k; i < whole; i += kParts) {
      const auto value = hn::PromoteTo(dd, hn::LoadU(df, original + i));
      const auto error = hn::Sub(value, hn::PromoteTo(dd, hn::LoadU(df, approximation + i)));
      signal = hn::Add(signal, hn::Mul(value, value));
      noise = hn::Add(noise, hn::Mul(error, error));
      worst = hn::Max(worst, hn::Abs(error));
    }
    hn::StoreU(signal, dd, parts.signal + k);
    hn::StoreU(noise, dd, parts.noise + k);
    hn::StoreU(worst, dd, parts.worst + k);
  }
  for (std::int64_t i = whole; i < count; ++i) {
    parts.add(i - whole, static_cast<double>(original[i]), static_cast<double>(approximation[i]));
  }
  return parts.sum();
}

}  // namespace
}  // namespace pare::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pare::kernels {

HWY_EXPORT(min_max_any);
HWY_EXPORT(widen_any);
HWY_EXPORT(quantize_any);
HWY_EXPORT(dequantize);
HWY_EXPORT(narrow_f16);
HWY_EXPORT(fake_quantize);
HWY_EXPORT(error_of);

MinMax min_max(std::span<const float> x) noexcept {
  return HWY_DYNAMIC_DISPATCH(min_max_any)(DType::f32, reinterpret_cast<const std::byte*>(x.data()),
                                           static_cast<std::int64_t>(x.size()));
}

MinMax min_max_bytes(DType dtype, const std::byte* data, std::int64_t count) noexcept {
  return HWY_DYNAMIC_DISPATCH(min_max_any)(dtype, data, count);
}

void widen_row(DType dtype, const std::byte* data, std::int64_t count, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(widen_any)(dtype, data, count, out);
}

bool narrow_row_f16(const float* x, std::int64_t count, std::byte* out) noexcept {
  return HWY_DYNAMIC_DISPATCH(narrow_f16)(x, count, out);
}

void quantize_row(DType dtype, const std::byte* data, std::int64_t count, float scale, float zero,
                  int lo, int hi, std::int8_t* codes) noexcept {
  HWY_DYNAMIC_DISPATCH(quantize_any)(dtype, data, count, scale, zero, lo, hi, codes);
}

void dequantize_row(const std::int8_t* codes, std::int64_t count, float scale, float zero,
                    float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(dequantize)(codes, count, scale, zero, out);
}

void fake_quantize_row(float* x, std::int64_t count, float scale, float zero, float lo,
                       float hi) noexcept {
  HWY_DYNAMIC_DISPATCH(fake_quantize)(x, count, scale, zero, lo, hi);
}

RowError row_error(const float* original, const float* approximation, std::int64_t count) noexcept {
  return HWY_DYNAMIC_DISPATCH(error_of)(original, approximation, count);
}

}  // namespace pare::kernels
#endif  // HWY_ONCE
