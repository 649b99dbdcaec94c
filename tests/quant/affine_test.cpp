// The affine quantizer's arithmetic: answers worked out by hand.
#include "quant/affine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace pare::quant {
namespace {

TEST(AffineParams, EightBits) {
  const AffineParams asym = affine_params(8, -1, 3, false);  // scale 4/255, zero round(63.75) - 128
  EXPECT_EQ(asym.scale, 4.0F / 255.0F);
  EXPECT_EQ(asym.zero_point, -64);
  const AffineParams sym = affine_params(8, -1, 3, true);
  EXPECT_EQ(sym.scale, 3.0F / 127.0F);
  EXPECT_EQ(sym.zero_point, 0);
}

TEST(AffineParams, FourBits) {
  const AffineParams asym = affine_params(4, -1, 3, false);  // zero round(3.75) - 8
  EXPECT_EQ(asym.scale, 4.0F / 15.0F);
  EXPECT_EQ(asym.zero_point, -4);
  EXPECT_EQ(affine_params(4, -5, 3, true).scale, 5.0F / 7.0F);
}

TEST(AffineParams, RangeIsWidenedToHoldZero) {
  const AffineParams above = affine_params(8, 0.5F, 3, false);
  EXPECT_EQ(above.scale, 3.0F / 255.0F);
  EXPECT_EQ(above.zero_point, -128);
  const AffineParams below = affine_params(8, -3, -0.5F, false);
  EXPECT_EQ(below.scale, 3.0F / 255.0F);
  EXPECT_EQ(below.zero_point, 127);
}

TEST(AffineParams, ZeroPointAtAHalfGoesToTheEvenNumber) {
  EXPECT_EQ(affine_params(4, -2.5F, 12.5F, false).zero_point, 2 - 8);
  EXPECT_EQ(affine_params(4, -3.5F, 11.5F, false).zero_point, 4 - 8);
}

TEST(AffineParams, EmptyRangeHasTheSmallestScale) {
  EXPECT_EQ(affine_params(8, 0, 0, true).scale, 0x1p-23F);
  EXPECT_EQ(affine_params(8, 0, 0, false).scale, 0x1p-23F);
  EXPECT_EQ(affine_params(8, 0, 0, false).zero_point, -128);
}

TEST(QuantizeValue, HalvesGoToTheEvenCodeAndEndsClamp) {
  EXPECT_EQ(quantize_value(0.5F, {1, 0}, -128, 127), 0);
  EXPECT_EQ(quantize_value(1.5F, {1, 0}, -128, 127), 2);
  EXPECT_EQ(quantize_value(1.5F, {1, -64}, -128, 127), -62);  // -62.5 goes to -62
  EXPECT_EQ(quantize_value(900, {1, 0}, -128, 127), 127);
  EXPECT_EQ(quantize_value(-900, {1, 0}, -7, 7), -7);
}

TEST(FakeQuantize, ValuesBecomeWhatTheirCodesStandFor) {
  std::vector<float> x{-1.3F, -0.5F, 0.264F, 2.0F};
  fake_quantize(x, {0.01F, 3}, -128, 127);  // codes -127, -47, 29, 127
  EXPECT_THAT(x, testing::ElementsAre(-130 * 0.01F, -50 * 0.01F, 26 * 0.01F, 124 * 0.01F));
}

TEST(FakeQuantizeToken, LargestMagnitudeIs127Steps) {
  std::vector<float> x{-2.54F, 0.01F, 1.0F, 0.0F};  // scale 0.02: codes -127, 0 (a half), 50, 0
  fake_quantize_token(x);
  const float scale = 2.54F / 127.0F;
  EXPECT_EQ(x[0], -127 * scale);
  EXPECT_EQ(x[2], 50 * scale);
  EXPECT_EQ(x[3], 0);
}

TEST(FakeQuantizeToken, ZerosStayZeros) {
  std::vector<float> zeros(20, 0.0F);
  fake_quantize_token(zeros);
  EXPECT_THAT(zeros, testing::Each(0.0F));
}

TEST(FakeQuantizeToken, ValuesTooSmallForAScaleBecomeZero) {
  std::vector<float> tiny(20, 1e-44F);  // 1e-44 / 127 is 0 in f32
  fake_quantize_token(tiny);
  EXPECT_THAT(tiny, testing::Each(0.0F));
}

}  // namespace
}  // namespace pare::quant
