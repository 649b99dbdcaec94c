// The min-max method: small matrices worked out by hand, and what it refuses.
#include "pare/error.h"
#include "quant/method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace pare::quant {
namespace {

QuantizedLinear minmax(const std::vector<float>& values, Shape shape, const Scheme& scheme) {
  const Context ctx(2);
  const Tensor weight = store_floats(values, DType::f32, std::move(shape));
  return find_method("minmax").quantize(ctx, {weight.view(), scheme, DType::f32, ParamMap{}});
}

TEST(MinMax, SymmetricPerRow) {
  // Row 0: scale 1; halves to even. Row 1: scale 0.5.
  const QuantizedLinear q = minmax({-7, 2.5F, 1.5F, 0, 1, -3.5F, 2.6F, 0.25F}, {2, 4},
                                   {4, true, Granularity::channel, 0, Activations::none});
  EXPECT_THAT(q.codes, testing::ElementsAre(-7, 2, 2, 0, 2, -7, 5, 0));
  EXPECT_THAT(q.scales, testing::ElementsAre(1, 0.5F));
  EXPECT_THAT(q.zeros, testing::ElementsAre(0, 0));
}

TEST(MinMax, AsymmetricPerRow) {
  // [-5, 10]: scale 1, zero 5 - 8 = -3. Row 1 [1, 15] is widened to [0, 15]: zero -8.
  const QuantizedLinear q = minmax({-5, 0, 10, 4.5F, 1, 15, 2, 2}, {2, 4},
                                   {4, false, Granularity::channel, 0, Activations::none});
  EXPECT_THAT(q.codes, testing::ElementsAre(-8, -3, 7, 2, -7, 7, -6, -6));
  EXPECT_THAT(q.scales, testing::ElementsAre(1, 1));
  EXPECT_THAT(q.zeros, testing::ElementsAre(-3, -8));
}

TEST(MinMax, OneScalePerTensor) {
  const QuantizedLinear q = minmax({1, 2, -127, 4}, {2, 2},
                                   {8, true, Granularity::tensor, 0, Activations::static_tensor});
  EXPECT_THAT(q.codes, testing::ElementsAre(1, 2, -127, 4));
  EXPECT_THAT(q.scales, testing::ElementsAre(1));
}

TEST(MinMax, PerGroupIsNotWidened) {
  // Group 0 [1, 16]: scale 1, zero -1 - 8. Group 1 is constant: widened to [0, 3]. Group 2 is 0.
  const QuantizedLinear q =
      minmax({1, 16, 3, 3, 0, 0}, {1, 6}, {4, false, Granularity::group, 2, Activations::none});
  EXPECT_THAT(q.codes, testing::ElementsAre(-8, 7, 7, 7, 0, 0));
  EXPECT_THAT(q.scales, testing::ElementsAre(1, 0.2F, 1));
  EXPECT_THAT(q.zeros, testing::ElementsAre(-9, -8, 0));
}

TEST(MinMax, EmptyMatrices) {
  const Scheme channel{8, true, Granularity::channel, 0, Activations::none};
  const Scheme tensor{8, true, Granularity::tensor, 0, Activations::none};
  EXPECT_TRUE(minmax({}, {0, 16}, channel).codes.empty());
  EXPECT_TRUE(minmax({}, {0, 16}, tensor).codes.empty());
  EXPECT_THAT(minmax({}, {2, 0}, channel).scales, testing::ElementsAre(1, 1));
}

TEST(MinMax, RefusesAsymmetricOrGroupedWeightsUnder8BitActivations) {
  const Method& method = find_method("minmax");
  for (const Activations a : {Activations::static_tensor, Activations::dynamic_token}) {
    EXPECT_EQ(method.refuses({8, true, Granularity::channel, 0, a}), "");
    EXPECT_THAT(std::string(method.refuses({8, false, Granularity::channel, 0, a})),
                testing::HasSubstr("symmetric"));
    EXPECT_THAT(std::string(method.refuses({8, true, Granularity::group, 64, a})),
                testing::HasSubstr("per channel or per tensor"));
  }
  EXPECT_EQ(method.refuses({8, false, Granularity::group, 64, Activations::none}), "");
  EXPECT_NE(method.refuses({5, true, Granularity::channel, 0, Activations::none}), "");
  EXPECT_NE(method.refuses({4, true, Granularity::group, 0, Activations::none}), "");
}

TEST(MinMax, ScaleThatDoesNotFitSaysWhere) {
  const Context ctx(1);
  const Tensor weight = store_floats(std::vector<float>{1, 1, 1, 9e6F}, DType::f32, {2, 2});
  const Scheme scheme{8, true, Granularity::channel, 0, Activations::none};
  try {
    find_method("minmax").quantize(ctx, {weight.view(), scheme, DType::f16, ParamMap{}});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_range);
    EXPECT_THAT(error.what(), testing::HasSubstr("row 1, group 0"));
  }
}

}  // namespace
}  // namespace pare::quant
