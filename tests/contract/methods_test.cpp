// What every quantization method must keep, whatever it does: run over the table of methods and
// every scheme a method does not refuse.
#include "core/rng.h"
#include "pare/error.h"
#include "quant/method.h"
#include "quant/named_schemes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

namespace pare::quant {
namespace {

constexpr std::int64_t kRows = 5;
constexpr std::int64_t kColumns = 256;

struct Case {
  const Method* method;
  Scheme scheme;
};

std::vector<Scheme> all_schemes() {
  std::vector<Scheme> schemes;
  for (const NamedScheme& named : named_schemes()) {
    for (const bool symmetric : {true, false}) {
      Scheme scheme;
      scheme.weight_bits = named.weight_bits;
      scheme.activations = named.activations;
      scheme.form = named.form;
      scheme.symmetric = symmetric;
      schemes.push_back(scheme);
      scheme.granularity = Granularity::tensor;
      schemes.push_back(scheme);
      scheme.granularity = Granularity::group;
      for (const std::int64_t size : {32, 64, 128, 256}) {
        scheme.group_size = size;
        schemes.push_back(scheme);
      }
    }
  }
  return schemes;
}

/// Every method that needs nothing but the weight, with every scheme it takes.
std::vector<Case> supported_cases() {
  std::vector<Case> cases;
  for (const Method* method : methods()) {
    if (method->needs != Needs::weights_only) continue;
    for (const Scheme& scheme : all_schemes()) {
      if (method->refuses(scheme).empty()) cases.push_back({method, scheme});
    }
  }
  return cases;
}

class MethodContract : public testing::TestWithParam<Case> {
 protected:
  const Scheme& scheme() const { return GetParam().scheme; }

  QuantizedLinear quantize(const Tensor& weight, DType scale_dtype = DType::f32,
                           int threads = 1) const {
    const Context ctx(threads);
    ParamMap params;
    params.fill_defaults(GetParam().method->params);
    return GetParam().method->quantize(ctx, {weight.view(), scheme(), scale_dtype, params});
  }
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = std::string(info.param.method->id) + "_" + info.param.scheme.text();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Methods, MethodContract, testing::ValuesIn(supported_cases()), case_name);

std::vector<float> gaussian_like(std::uint64_t seed, std::int64_t rows = kRows) {
  Rng rng(seed);
  std::vector<float> values(static_cast<std::size_t>(rows * kColumns));
  for (float& v : values) {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += rng.uniform();
    v = static_cast<float>(sum * 0.04);
  }
  return values;
}

Tensor weight_of(const std::vector<float>& values, DType dtype = DType::f32) {
  return store_floats(values, dtype,
                      {static_cast<std::int64_t>(values.size()) / kColumns, kColumns});
}

std::vector<float> dequantized(const QuantizedLinear& q) {
  Matrix out(q.out, q.in);
  dequantize(Context(1), q, out.view());
  return out.values();
}

/// Half the distance between a scale and the next one its type can hold: how far rounding moved it.
double scale_rounding(float scale, DType dtype) {
  const double exponent = std::floor(std::log2(static_cast<double>(scale)));
  if (dtype == DType::f16) return std::exp2(std::max(exponent, -14.0) - 11);
  if (dtype == DType::bf16) return std::exp2(exponent - 8);
  return 0;
}

/// Half a step of each stage; at the ends of a group one step more, as a group scale is a whole
/// number and may be rounded down by almost 1/2: 7 (or 15) steps then fall short of the end by
/// 3.5 (7.5) of the integers of the first stage.
double two_stage_bound(const QuantizedLinear& q, std::int64_t row, std::int64_t group) {
  const double first = static_cast<double>(q.row_scales[static_cast<std::size_t>(row)]);
  const double second = static_cast<double>(q.scale_at(row, group));
  const double cut_off = q.scheme.symmetric ? 3.5 : 7.5;
  return first * (0.51 + second * 0.5 + cut_off) +
         120 * scale_rounding(static_cast<float>(first), q.scale_dtype);
}

/// |w - deq| <= scale / 2, with slack for what f32 arithmetic and the stored scale's rounding add:
/// - the quotient, the sum with the zero point and the product are off by at most 2^-24 of
///   magnitudes up to 2^b + |zero| steps each;
/// - a scale rounded down by d leaves the last code 2^b d short of the end of the range.
double error_bound(const QuantizedLinear& q, std::int64_t row, std::int64_t group) {
  if (q.scheme.form == CodeForm::two_stage) return two_stage_bound(q, row, group);
  const float scale = q.scale_at(row, group);
  const double steps = std::exp2(q.scheme.weight_bits);
  const double reach = steps + std::fabs(static_cast<double>(q.zero_at(row, group)));
  const double arithmetic = 4 * reach * 0x1p-24 * static_cast<double>(scale);
  return static_cast<double>(scale) * 0.5 + arithmetic +
         steps * scale_rounding(scale, q.scale_dtype);
}

void expect_row_scales(const QuantizedLinear& q) {
  const bool two_stage = q.scheme.form == CodeForm::two_stage;
  ASSERT_EQ(q.row_scales.size(), two_stage ? static_cast<std::size_t>(q.out) : 0U);
  for (const float scale : q.row_scales) {
    EXPECT_GT(scale, 0);
    EXPECT_EQ(scale, round_through(scale, q.scale_dtype)) << "not exact when stored";
  }
  if (!two_stage) return;
  for (const float scale : q.scales)
    EXPECT_EQ(scale, std::nearbyint(scale)) << "no whole number";
}

void expect_well_formed(const QuantizedLinear& q, const Scheme& scheme) {
  EXPECT_EQ(q.scheme, scheme);
  expect_row_scales(q);
  ASSERT_EQ(q.codes.size(), static_cast<std::size_t>(q.out * q.in));
  const std::int64_t scales =
      scheme.granularity == Granularity::tensor ? 1 : q.out * scheme.groups(q.in);
  ASSERT_EQ(q.scales.size(), static_cast<std::size_t>(scales));
  ASSERT_EQ(q.zeros.size(), q.scales.size());
  const bool full_range = !scheme.symmetric || scheme.form == CodeForm::outliers;
  const int lowest = full_range ? scheme.qmin() : -scheme.qmax();
  const auto [low, high] = std::minmax_element(q.codes.begin(), q.codes.end());
  EXPECT_GE(*low, lowest);
  EXPECT_LE(*high, scheme.qmax());
  for (std::size_t i = 0; i < q.scales.size(); ++i) {
    EXPECT_GT(q.scales[i], 0);
    EXPECT_EQ(q.scales[i], round_through(q.scales[i], q.scale_dtype)) << "not exact when stored";
    EXPECT_EQ(q.zeros[i], round_through(q.zeros[i], q.scale_dtype)) << "not exact when stored";
    EXPECT_EQ(q.zeros[i], std::nearbyint(q.zeros[i]));
    if (scheme.symmetric) {
      EXPECT_EQ(q.zeros[i], 0);
    }
  }
}

/// Codes in range, scales exact in their type, every weight within the bound of its scale.
void expect_faithful(const QuantizedLinear& q, const Scheme& scheme, const Tensor& weight) {
  expect_well_formed(q, scheme);
  const std::vector<float> values = read_floats(weight.view());
  const std::vector<float> restored = dequantized(q);
  const std::int64_t columns = scheme.group_columns(q.in);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / q.in;
    const auto column = static_cast<std::int64_t>(i) % q.in;
    const bool cut_off = scheme.form == CodeForm::outliers && std::abs(q.codes[i]) >= 127;
    if (cut_off) continue;  // an outlier that the int8 grid does not reach
    const double error =
        std::fabs(static_cast<double>(values[i]) - static_cast<double>(restored[i]));
    ASSERT_LE(error, error_bound(q, row, column / columns))
        << "row " << row << " column " << column;
  }
}

TEST_P(MethodContract, EveryWeightAndScaleType) {
  for (const DType weight_dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const DType scale_dtype : {DType::f32, DType::f16, DType::bf16}) {
      SCOPED_TRACE(std::string(name_of(weight_dtype)) + " scales " +
                   std::string(name_of(scale_dtype)));
      const Tensor weight = weight_of(gaussian_like(1), weight_dtype);
      const QuantizedLinear q = quantize(weight, scale_dtype);
      const bool sparse = scheme().form == CodeForm::outliers;  // its files hold no weight scale
      EXPECT_EQ(q.scale_dtype, sparse ? DType::f32 : scale_dtype);
      expect_faithful(q, scheme(), weight);
    }
  }
}

TEST_P(MethodContract, AllZero) {
  const Tensor weight = weight_of(std::vector<float>(kRows * kColumns, 0.0F));
  const QuantizedLinear q = quantize(weight);
  expect_well_formed(q, scheme());
  EXPECT_THAT(q.codes, testing::Each(0));
  EXPECT_THAT(q.scales, testing::Each(1.0F));
}

TEST_P(MethodContract, AZeroRowAmongOthers) {
  std::vector<float> values = gaussian_like(2);
  std::fill(values.begin() + kColumns, values.begin() + 2 * kColumns, 0.0F);
  const Tensor weight = weight_of(values);
  const QuantizedLinear q = quantize(weight);
  expect_faithful(q, scheme(), weight);
  const std::vector<float> restored = dequantized(q);
  EXPECT_EQ(restored[kColumns + 7], 0);
}

TEST_P(MethodContract, Constant) {
  for (const float value : {0.75F, -0.75F, 1e-5F, 300.0F}) {
    const Tensor weight = weight_of(std::vector<float>(kRows * kColumns, value));
    expect_faithful(quantize(weight), scheme(), weight);
    expect_faithful(quantize(weight, DType::f16), scheme(), weight);
  }
}

TEST_P(MethodContract, OneSignOnly) {
  std::vector<float> values = gaussian_like(3);
  for (float& v : values)
    v = 1 + std::fabs(v);
  const Tensor weight = weight_of(values);
  expect_faithful(quantize(weight), scheme(), weight);
  expect_faithful(quantize(weight, DType::bf16), scheme(), weight);
}

TEST_P(MethodContract, SingleOutlier) {
  std::vector<float> values = gaussian_like(4);
  values[300] = -80;
  const Tensor weight = weight_of(values);
  expect_faithful(quantize(weight), scheme(), weight);
}

TEST_P(MethodContract, TinyWeights) {
  std::vector<float> values = gaussian_like(5);
  for (float& v : values)
    v *= 1e-6F;
  const Tensor weight = weight_of(values);
  expect_faithful(quantize(weight), scheme(), weight);
  expect_faithful(quantize(weight, DType::f16), scheme(), weight);
}

TEST_P(MethodContract, NotFiniteIsRefusedWithItsPlace) {
  const float bad_values[] = {std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::infinity()};
  for (const float bad : bad_values) {
    std::vector<float> values = gaussian_like(6);
    values[3 * kColumns + 201] = bad;
    values[4 * kColumns + 1] = bad;
    try {
      quantize(weight_of(values), DType::f32, 4);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::not_finite);
      EXPECT_THAT(error.what(), testing::HasSubstr("row 3, column 201"));
    }
  }
}

TEST_P(MethodContract, RaggedGroupIsRefused) {
  if (scheme().granularity != Granularity::group) return;
  const Tensor weight(DType::f32, {2, scheme().group_size + 16});
  try {
    quantize(weight);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::group_does_not_divide);
  }
}

TEST_P(MethodContract, QuantizedWeightsKeepTheirCodes) {
  // Rounding moves weights across the limit of outliers; a second limit may be another one.
  if (scheme().form != CodeForm::uniform) return;
  std::vector<float> values = gaussian_like(7);
  if (!scheme().symmetric) {
    // Every group's ends lie on the grid: -min and max are whole numbers of steps of 1/64.
    const int steps = (1 << scheme().weight_bits) - 1;
    const int below = steps / 3;
    const std::int64_t group =
        scheme().granularity == Granularity::group ? scheme().group_size : 32;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double place = std::clamp(std::nearbyint(static_cast<double>(values[i]) * 800),
                                      -1.0 * below, 1.0 * (steps - below));
      values[i] = static_cast<float>(place / 64);
      if (static_cast<std::int64_t>(i) % group == 0) values[i] = static_cast<float>(-below) / 64;
      if (static_cast<std::int64_t>(i) % group == 1) {
        values[i] = static_cast<float>(steps - below) / 64;
      }
    }
  }
  const QuantizedLinear once = quantize(weight_of(values));
  const QuantizedLinear twice = quantize(weight_of(dequantized(once)));
  EXPECT_EQ(once.codes, twice.codes);
}

TEST_P(MethodContract, SameBytesForAnyThreadCount) {
  const Tensor weight = weight_of(gaussian_like(8, 700), DType::bf16);
  const QuantizedLinear one = quantize(weight, DType::bf16, 1);
  const QuantizedLinear seven = quantize(weight, DType::bf16, 7);
  EXPECT_EQ(one.codes, seven.codes);
  EXPECT_EQ(one.scales, seven.scales);
  EXPECT_EQ(one.row_scales, seven.row_scales);
  EXPECT_EQ(one.zeros, seven.zeros);
}

TEST(MethodTable, FindsEveryMethodAndSuggestsForOthers) {
  ASSERT_FALSE(methods().empty());
  for (const Method* method : methods()) {
    EXPECT_EQ(&find_method(method->id), method);
    EXPECT_FALSE(method->summary.empty()) << method->id;
    EXPECT_FALSE(method->source.empty()) << method->id;
  }
  try {
    find_method("minmx");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unknown_entry);
    EXPECT_THAT(error.what(), testing::HasSubstr("\"minmax\""));
  }
}

TEST(MethodTable, RefusedSchemesAreRefusedByQuantizeToo) {
  const Context ctx(1);
  const Tensor weight(DType::f32, {2, 64});
  int refused = 0;
  for (const Method* method : methods()) {
    for (const Scheme& scheme : all_schemes()) {
      if (method->refuses(scheme).empty()) continue;
      ++refused;
      try {
        method->quantize(ctx, {weight.view(), scheme, DType::f32, ParamMap{}});
        ADD_FAILURE() << method->id << " took " << scheme.text();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::scheme_not_supported);
      }
    }
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace pare::quant
