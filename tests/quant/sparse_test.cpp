// Sparse and two-stage methods on weights small enough to work out by hand, and where the
// reference has no answer.
#include "pare/error.h"
#include "quant/method.h"
#include "quant/sparse/lowbit_fake_quantize.h"
#include "quant/sparse/outliers.h"
#include "support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace pare::quant {
namespace {

using Codes = std::vector<std::int8_t>;

Scheme sparse(Granularity granularity = Granularity::channel) {
  Scheme scheme;
  scheme.activations = Activations::static_tensor;
  scheme.form = CodeForm::outliers;
  scheme.granularity = granularity;
  return scheme;
}

Scheme two_stage(bool symmetric, std::int64_t group = 32) {
  Scheme scheme;
  scheme.weight_bits = 4;
  scheme.symmetric = symmetric;
  scheme.granularity = Granularity::group;
  scheme.group_size = group;
  scheme.activations = Activations::dynamic_token;
  scheme.form = CodeForm::two_stage;
  return scheme;
}

ParamMap params_of(const Method& method,
                   const std::vector<std::pair<std::string, std::string>>& given) {
  ParamMap params;
  for (const auto& [name, value] : given) {
    for (const ParamSpec& spec : method.params) {
      if (spec.name == name) params.set(spec, value, "test");
    }
  }
  return params;
}

QuantizedLinear run(const char* id, const std::vector<float>& values, std::int64_t rows,
                    const Scheme& scheme,
                    const std::vector<std::pair<std::string, std::string>>& given = {}) {
  const Method& method = find_method(id);
  const auto columns = static_cast<std::int64_t>(values.size()) / rows;
  const Tensor weight = store_floats(values, DType::f32, {rows, columns});
  return method.quantize(Context(2), {weight.view(), scheme, DType::f32, params_of(method, given)});
}

/// 1, 2, … 7 in the first row, 14 and 70 among small ones in the second.
const std::vector<float> kTwoRows = {1, -2, 3, -4, 5, -6, 7, 0, 14, -70, 1, 2, 3, -3, 0, 1000};

TEST(CoSparse, OneLimitForTheTensor) {
  // 16 * 0.2 = 3.2: the third largest, 14, is the limit and an inlier; 70 and 1000 are outliers.
  const QuantizedLinear rows = run("co-sparse", kTwoRows, 2, sparse(), {{"fraction", "0.2"}});
  EXPECT_EQ(rows.scales, (std::vector<float>{1, 2}));  // 7 / 7, 14 / 7
  // 1 / 2 = 0.5 -> 0, 3 / 2 = 1.5 -> 2; -70 / 2 = -35; 1000 / 2 is cut to 127.
  EXPECT_EQ(rows.codes, (Codes{1, -2, 3, -4, 5, -6, 7, 0, 7, -35, 0, 1, 2, -2, 0, 127}));
  const QuantizedLinear one =
      run("co-sparse", kTwoRows, 2, sparse(Granularity::tensor), {{"fraction", "0.2"}});
  EXPECT_EQ(one.scales, (std::vector<float>{2}));
  EXPECT_EQ(one.codes, (Codes{0, -1, 2, -2, 2, -3, 4, 0, 7, -35, 0, 1, 2, -2, 0, 127}));
}

TEST(CoSparse, NoOutliersWhenTheFractionIsLessThanOneWeight) {
  for (const char* fraction : {"0", "0.01"}) {
    const QuantizedLinear q =
        run("co-sparse", kTwoRows, 2, sparse(Granularity::tensor), {{"fraction", fraction}});
    EXPECT_FLOAT_EQ(q.scales[0], 1000.0F / 7);
    EXPECT_EQ(q.codes[15], 7);
  }
}

TEST(CoSparse, ZerosThatAreAllTheInliers) {
  // Half of the weights are zeros and the limit is one of them: 8 bits for the rest.
  std::vector<float> values(64, 0.0F);
  values[3] = -127;
  values[5] = 64;
  for (const Granularity g : {Granularity::channel, Granularity::tensor}) {
    const QuantizedLinear q = run("co-sparse", values, 2, sparse(g), {{"fraction", "0.1"}});
    EXPECT_EQ(q.scales[0], 1);
    EXPECT_EQ(q.codes[3], -127);
    EXPECT_EQ(q.codes[5], 64);
    EXPECT_EQ(q.codes[6], 0);
    EXPECT_EQ(q.scales.back(), 1) << "a zero row has the scale 1";
  }
}

TEST(CoSparse, EndsOfTheNumberRange) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const float huge = std::numeric_limits<float>::max();
  for (const Granularity g : {Granularity::channel, Granularity::tensor}) {
    for (const char* nonuniform : {"false", "true"}) {
      const QuantizedLinear q = run("co-sparse", {tiny, -tiny, 0, tiny, huge, -huge, 1, huge / 2},
                                    2, sparse(g), {{"nonuniform", nonuniform}});
      for (const float scale : q.scales) {
        EXPECT_GT(scale, 0);
        EXPECT_TRUE(std::isfinite(scale));
      }
      Matrix values(q.out, q.in);
      dequantize(Context(1), q, values.view());
      for (const float v : values.values())
        EXPECT_FALSE(std::isnan(v));
    }
  }
}

TEST(CoSparse, NonuniformFindsThePower) {
  // +-(j / 7)^2: the square roots lie on a grid of 7 steps, so the power is 1/2 and the code is j.
  std::vector<float> values(64);
  Codes codes(64);
  for (int i = 0; i < 64; ++i) {
    const int j = i % 15 - 7;
    values[static_cast<std::size_t>(i)] = static_cast<float>(j * std::abs(j)) / 49;
    codes[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(j);
  }
  for (const Granularity g : {Granularity::channel, Granularity::tensor}) {
    const QuantizedLinear q = run("co-sparse", values, 2, sparse(g), {{"nonuniform", "true"}});
    EXPECT_NEAR(q.exponent, 0.5F, 1e-4F);
    EXPECT_EQ(q.codes, codes);
    EXPECT_NEAR(q.scales[0], 1.0F / 7, 1e-6F);
    Matrix back(q.out, q.in);
    dequantize(Context(1), q, back.view());
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(back.values()[i], values[i], 1e-4F);
  }
  EXPECT_EQ(run("co-sparse", values, 2, sparse()).exponent, 1);
}

TEST(CoSparse, LooksAtItsParameters) {
  const Method& method = find_method("co-sparse");
  EXPECT_EQ(method.check(params_of(method, {{"pr", "2.0"}})), "");
  EXPECT_THAT(method.check(params_of(method, {{"fraction", "0.3"}})),
              testing::HasSubstr("outside 0.01 to 0.1"));
  try {
    method.check(params_of(method, {{"pr", "0.5"}}));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_option_value);
    EXPECT_THAT(error.what(), testing::HasSubstr("depend on chance"));
  }
  EXPECT_THROW(params_of(method, {{"fraction", "1"}}), Error);
}

TEST(Lowbit, AFractionOfEachRow) {
  // 8 * 0.25 = 2: the second largest of a row is its limit, here 6 and 70.
  const QuantizedLinear q = run("lowbit", kTwoRows, 2, sparse(), {{"fraction", "0.25"}});
  EXPECT_FLOAT_EQ(q.scales[0], 6.0F / 7);
  EXPECT_FLOAT_EQ(q.scales[1], 10);
  EXPECT_EQ(q.codes, (Codes{1, -2, 4, -5, 6, -7, 8, 0, 1, -7, 0, 0, 0, 0, 0, 100}));
  const QuantizedLinear one =
      run("lowbit", kTwoRows, 2, sparse(Granularity::tensor), {{"fraction", "0.25"}});
  EXPECT_EQ(one.scales, (std::vector<float>{10})) << "the largest inlier of all rows";
}

TEST(Lowbit, OutliersReachDownTo128) {
  std::vector<float> values(16, 7.0F);
  values[3] = -1000;
  values[4] = 1000;
  const QuantizedLinear q = run("lowbit", values, 1, sparse(), {{"fraction", "0.2"}});
  EXPECT_EQ(q.scales[0], 1);
  EXPECT_EQ(q.codes[3], -128);
  EXPECT_EQ(q.codes[4], 127);
}

TEST(Lowbit, SigmaComparesWithoutTheMean) {
  // |w|: 99 times 1 and one 5. Mean 1.04, squares 99 * 0.04^2 + 3.96^2 = 15.84, over 99 = 0.16:
  // sd 0.4, and the ratios 2.5 and 12.5. Only the 5 is beyond 3 of them.
  std::vector<float> values(100, 1.0F);
  values[42] = -5;
  const QuantizedLinear q = run("lowbit", values, 1, sparse(), {{"use_sigma", "true"}});
  EXPECT_EQ(q.scales[0], 1.0F / 7);
  EXPECT_EQ(q.codes[0], 7);
  EXPECT_EQ(q.codes[42], -35);
}

TEST(Lowbit, TheSigmaLimitSaysWhatTheQuotientSays) {
  std::vector<float> values(400 * 8);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(static_cast<float>(i * i)) + 0.01F;
  const Tensor weight = store_floats(values, DType::f32, {400, 8});
  for (const double factor : {3.0, 3.3, 4.0}) {
    const OutlierGrids grids = row_outliers(Context(1), weight.view(), {}, {true, factor});
    for (std::size_t row = 0; row < grids.size(); ++row) {
      const float sd = std::sqrt(
          static_cast<float>(kernels::variance_of_magnitudes(values.data() + row * 8, 8)));
      const float limit = grids[row].limit;
      const auto f = static_cast<float>(factor);
      EXPECT_LE(limit / sd, f) << row;
      EXPECT_GT(std::nextafter(limit, 1e9F) / sd, f) << row;
    }
  }
}

TEST(Lowbit, NotFiniteNamesItsPlaceInEveryType) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Tensor weight = store_floats(std::vector<float>(2 * 4096, 1.0F), dtype, {2, 4096});
      const Tensor one = store_floats(std::vector<float>{bad}, dtype, {1});
      std::memcpy(weight.bytes().data() + (4096 + 4000) * size_of(dtype), one.view().data.data(),
                  size_of(dtype));
      EXPECT_THAT(PARE_ERROR_TEXT(not_finite, row_outliers(Context(1), weight.view(), {}, {})),
                  testing::HasSubstr("row 1, column 4000"))
          << name_of(dtype);
    }
  }
}

TEST(Lowbit, ConstantRowsKeepTheirWeightsUnderSigma) {
  std::vector<float> values(128, 0.0F);
  std::fill(values.begin(), values.begin() + 64, -12.7F);
  const QuantizedLinear q = run("lowbit", values, 2, sparse(), {{"use_sigma", "true"}});
  EXPECT_FLOAT_EQ(q.scales[0], 0.1F);
  EXPECT_EQ(q.codes[0], -127);
  EXPECT_EQ(q.scales[1], 1);
  EXPECT_EQ(q.codes[64], 0);
}

TEST(Lowbit, RoundsTheRangeThatWeightsHaveElsewhere) {
  // 16 to 31 in 15 steps of 1: min-max per channel would widen the range to hold 0.
  std::vector<float> values(16);
  std::iota(values.begin(), values.end(), 16.0F);
  Scheme scheme{4, false, Granularity::channel, 0, Activations::none};
  const QuantizedLinear q = run("lowbit", values, 1, scheme);
  EXPECT_EQ(q.scales[0], 1);
  EXPECT_EQ(q.zeros[0], -24);  // rint(-16 / 1) - 8
  EXPECT_EQ(q.codes.front(), -8);
  EXPECT_EQ(q.codes.back(), 7);
  scheme.granularity = Granularity::tensor;
  EXPECT_NE(find_method("lowbit").refuses(scheme), "");
}

TEST(Lowbit, RecoversFor8BitsAsPlainRounding) {
  const Context ctx(1);
  Matrix w(2, 3);
  w.values() = {127, -63.4F, 0.5F, 0, 0, 0};
  Matrix out(2, 3);
  LowbitOptions options;
  options.bits = 8;
  fake_quantize_lowbit(ctx, std::as_const(w).view(), options, out.view());
  EXPECT_EQ(out.values(), (std::vector<float>{127, -63, 0, 0, 0, 0}));
  w.values()[4] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(fake_quantize_lowbit(ctx, std::as_const(w).view(), options, out.view()), Error);
}

TEST(TwoStage, ByHand) {
  // Row: the largest is 119, so the integers are the weights. Group 0 reaches 119: 119 / 7 = 17;
  // group 1 reaches 10: 10 / 7 = 1.43 -> 1, and 10 is cut to 7.
  std::vector<float> values(64, 0.0F);
  values[0] = 119;
  values[1] = -60;  // -60 / 17 = -3.53
  values[32] = 10;
  values[33] = -3;
  const QuantizedLinear q = run("two-stage", values, 1, two_stage(true));
  EXPECT_EQ(q.row_scales, (std::vector<float>{1}));
  EXPECT_EQ(q.scales, (std::vector<float>{17, 1}));
  EXPECT_EQ(q.codes[0], 7);
  EXPECT_EQ(q.codes[1], -4);
  EXPECT_EQ(q.codes[32], 7);
  EXPECT_EQ(q.codes[33], -3);
  Matrix back(1, 64);
  dequantize(Context(1), q, back.view());
  EXPECT_EQ(back.values()[1], -68);
}

TEST(TwoStage, AsymmetricByHand) {
  // Integers -119 and 32 to 0: (32 + 119) / 15 = 10.07 -> 10, zero -rint(-11.9) - 8 = 4.
  std::vector<float> values(64, 0.0F);
  values[0] = -238;
  values[1] = 64;
  const QuantizedLinear q = run("two-stage", values, 1, two_stage(false));
  EXPECT_EQ(q.row_scales, (std::vector<float>{2}));
  EXPECT_EQ(q.scales, (std::vector<float>{10, 1}));
  EXPECT_EQ(q.zeros, (std::vector<float>{4, 0}));
  EXPECT_EQ(q.codes[0], -8);
  EXPECT_EQ(q.codes[1], 7);
  EXPECT_EQ(q.codes[2], 4);
  EXPECT_EQ(q.codes[40], 0) << "a group of zeros has codes and zero point 0";
  Matrix back(1, 64);
  dequantize(Context(1), q, back.view());
  EXPECT_EQ(back.values()[0], -240);
  EXPECT_EQ(back.values()[2], 0);
}

TEST(TwoStage, EveryGroupSize) {
  std::vector<float> values(512);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(static_cast<float>(i)) * 0.3F;
  for (const std::int64_t group : {32, 64, 128, 256}) {
    const QuantizedLinear q = run("two-stage", values, 1, two_stage(true, group));
    EXPECT_EQ(q.scales.size(), static_cast<std::size_t>(512 / group));
  }
  Scheme rows = two_stage(true);
  rows.granularity = Granularity::channel;
  EXPECT_THAT(find_method("two-stage").refuses(rows), testing::HasSubstr("group size"));
}

TEST(SparseMethods, SayWhatTheyCannotDo) {
  const Scheme plain;
  EXPECT_THAT(find_method("co-sparse").refuses(plain), testing::HasSubstr("w8a8s"));
  EXPECT_THAT(find_method("two-stage").refuses(plain), testing::HasSubstr("w4a8-dynamic"));
  EXPECT_THAT(find_method("lowbit").refuses(two_stage(true)), testing::HasSubstr("two-stage"));
  Scheme grouped = sparse(Granularity::group);
  grouped.group_size = 64;
  Scheme asymmetric = sparse();
  asymmetric.symmetric = false;
  for (const char* id : {"co-sparse", "lowbit"}) {
    EXPECT_THAT(find_method(id).refuses(grouped), testing::HasSubstr("per channel or per tensor"));
    EXPECT_THAT(find_method(id).refuses(asymmetric), testing::HasSubstr("symmetric"));
    EXPECT_EQ(find_method(id).refuses(sparse()), "");
  }
}

}  // namespace
}  // namespace pare::quant
