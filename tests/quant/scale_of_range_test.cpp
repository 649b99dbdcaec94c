// Scales and zero points of weights as they will be stored.
#include "quant/scale_of_range.h"

#include "pare/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace pare::quant {
namespace {

using testing::HasSubstr;

constexpr Scheme kSymChannel{8, true, Granularity::channel, 0, Activations::none};
constexpr Scheme kAsymChannel{8, false, Granularity::channel, 0, Activations::none};
constexpr Scheme kSymGroup{4, true, Granularity::group, 32, Activations::none};
constexpr Scheme kAsymGroup{4, false, Granularity::group, 32, Activations::none};

template <class Fn>
Error error_of(const Fn& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::internal, "");
}

TEST(WeightParams, AllZeroHasScaleOneAndZeroPointZero) {
  for (const Scheme& scheme : {kSymChannel, kAsymChannel, kSymGroup, kAsymGroup}) {
    const AffineParams p = scale_of_range(scheme, 0, 0, DType::f16);
    EXPECT_EQ(p.scale, 1) << scheme.text();
    EXPECT_EQ(p.zero_point, 0) << scheme.text();
  }
}

TEST(WeightParams, ScaleIsRoundedBeforeTheZeroPointIsMade) {
  // 2.03 / 255 = 0.0079608 lies between the bf16 values 130 and 131 times 2^-14, nearer to the
  // first. 1.97 divided by it is 248.28, while divided by the unrounded scale it is 247.46.
  const AffineParams p = scale_of_range(kAsymChannel, -1.97F, 0.06F, DType::bf16);
  EXPECT_EQ(p.scale, 130 * 0x1p-14F);
  EXPECT_EQ(p.zero_point, 248 - 128);
  EXPECT_EQ(affine_params(8, -1.97F, 0.06F, false).zero_point, 247 - 128);
}

TEST(WeightParams, ZeroPointAtAHalfGoesToTheEvenNumber) {
  Scheme row = kAsymGroup;
  row.granularity = Granularity::channel;
  for (const Scheme& scheme : {kAsymGroup, row}) {
    EXPECT_EQ(scale_of_range(scheme, -2.5F, 12.5F, DType::f32).zero_point, 2 - 8);
    EXPECT_EQ(scale_of_range(scheme, -3.5F, 11.5F, DType::f32).zero_point, 4 - 8);
  }
}

TEST(WeightParams, GroupRangeIsNotWidened) {
  const AffineParams p = scale_of_range(kAsymGroup, 1, 2.5F, DType::f32);
  EXPECT_EQ(p.scale, 0.1F);          // 1.5 / 15
  EXPECT_EQ(p.zero_point, -10 - 8);  // outside -8..7: 0 is not on the grid
  const AffineParams sym = scale_of_range(kSymGroup, -1.4F, 0.7F, DType::f32);
  EXPECT_EQ(sym.scale, 1.4F / 7.0F);
}

TEST(WeightParams, ConstantGroupUsesTheWidenedRange) {
  const AffineParams p = scale_of_range(kAsymGroup, 3, 3, DType::f32);
  EXPECT_EQ(p.scale, 0.2F);
  EXPECT_EQ(p.zero_point, -8);  // 3 is code 7
  const AffineParams n = scale_of_range(kAsymGroup, -3, -3, DType::f32);
  EXPECT_EQ(n.zero_point, 7);  // -3 is code -8
}

TEST(WeightParams, ZeroPointThatTheTypeCannotHoldUsesTheWidenedRange) {
  // 300 / 0.1 = 3000: f32 holds the zero point -3008; f16 holds even numbers there, 3008 among
  // them; bf16 holds multiples of 16, and 2992 + 8 = 3000 is none.
  EXPECT_EQ(scale_of_range(kAsymGroup, 300, 301.5F, DType::f32).zero_point, -3008);
  EXPECT_EQ(scale_of_range(kAsymGroup, 300, 301.5F, DType::bf16).zero_point, -8);
  EXPECT_EQ(scale_of_range(kAsymGroup, 300, 301.5F, DType::bf16).scale,
            round_through(301.5F / 15, DType::bf16));
}

TEST(WeightParams, ScaleTooLargeForTheTypeIsAnError) {
  const Error error =
      error_of([] { scale_of_range(kSymChannel, -9e6F, 1, DType::f16); });  // 70866 > 65504
  EXPECT_EQ(error.code(), ErrorCode::out_of_range);
  EXPECT_THAT(error.what(), HasSubstr("F16"));
  EXPECT_NO_THROW(scale_of_range(kSymChannel, -9e6F, 1, DType::bf16));
  const float largest = std::numeric_limits<float>::max();
  EXPECT_EQ(error_of([&] { scale_of_range(kAsymGroup, -largest, largest, DType::f32); }).code(),
            ErrorCode::out_of_range);
}

TEST(WeightParams, ScaleTooSmallForTheTypeIsItsSmallest) {
  EXPECT_EQ(scale_of_range(kSymGroup, -7e-9F, 0, DType::f16).scale, 0x1p-24F);
  EXPECT_EQ(scale_of_range(kSymGroup, -1e-45F, 0, DType::f32).scale, 0x1p-149F);
  EXPECT_EQ(scale_of_range(kSymGroup, -1e-45F, 0, DType::bf16).scale, 0x1p-133F);
  // Subnormal f16 scales are kept: 7e-6 / 7 is 16.78 of its smallest steps.
  EXPECT_EQ(scale_of_range(kSymGroup, -7e-6F, 0, DType::f16).scale, 17 * 0x1p-24F);
}

TEST(WeightParams, ZeroPointOfARangeAroundZeroIsACode) {
  // 21 / 15 = 1.4 of the smallest f16 step becomes one step, and -min / scale 21: 13 after the
  // shift by 8, where the largest code is 7. Per row 255 * 2.4 steps become 2 steps each: 306.
  const AffineParams group = scale_of_range(kAsymGroup, -21 * 0x1p-24F, 0, DType::f16);
  EXPECT_EQ(group.scale, 0x1p-24F);
  EXPECT_EQ(group.zero_point, 7);
  const AffineParams row = scale_of_range(kAsymChannel, -255 * 2.4F * 0x1p-24F, 0, DType::f16);
  EXPECT_EQ(row.scale, 0x1p-23F);
  EXPECT_EQ(row.zero_point, 127);
}

TEST(CheckWeight, RefusesWhatIsNoFloatMatrix) {
  const Tensor cube(DType::f32, {2, 2, 2});
  const Tensor integers(DType::i8, {2, 2});
  EXPECT_EQ(error_of([&] { check_weight(cube.view(), kSymChannel, DType::f32); }).code(),
            ErrorCode::tensor_mismatch);
  EXPECT_EQ(error_of([&] { check_weight(integers.view(), kSymChannel, DType::f32); }).code(),
            ErrorCode::tensor_mismatch);
}

TEST(CheckWeight, RefusesBytesThatAreNotTheShape) {
  const Tensor tensor(DType::f32, {2, 4});
  TensorView view = tensor.view();
  view.shape = Shape{2, 5};
  EXPECT_EQ(error_of([&] { check_weight(view, kSymChannel, DType::f32); }).code(),
            ErrorCode::tensor_mismatch);
}

TEST(CheckWeight, RefusesScalesOfNoFloatType) {
  const Tensor tensor(DType::f32, {2, 4});
  EXPECT_EQ(error_of([&] { check_weight(tensor.view(), kSymChannel, DType::i8); }).code(),
            ErrorCode::scheme_not_supported);
}

TEST(CheckWeight, RaggedGroupNamesTheSizesThatWouldDo) {
  Scheme scheme = kSymGroup;
  scheme.group_size = 128;
  const Tensor tensor(DType::f32, {1, 192});
  const Error error = error_of([&] { check_weight(tensor.view(), scheme, DType::f32); });
  EXPECT_EQ(error.code(), ErrorCode::group_does_not_divide);
  EXPECT_THAT(error.what(), HasSubstr("192 input columns in groups of 128"));
  EXPECT_THAT(error.hint(), testing::EndsWith("32, 64"));
  const Tensor odd(DType::f32, {1, 100});
  EXPECT_THAT(error_of([&] { check_weight(odd.view(), scheme, DType::f32); }).hint(),
              HasSubstr("per channel"));
}

TEST(CheckRowFinite, NamesRowAndColumn) {
  std::vector<float> values(12, 1.0F);
  values[1 * 6 + 4] = std::numeric_limits<float>::quiet_NaN();
  const Tensor tensor = store_floats(values, DType::f16, {2, 6});
  EXPECT_NO_THROW(check_row_finite(tensor.view(), 0, 0, 6));
  EXPECT_NO_THROW(check_row_finite(tensor.view(), 1, 0, 4));
  const Error error = error_of([&] { check_row_finite(tensor.view(), 1, 3, 3); });
  EXPECT_EQ(error.code(), ErrorCode::not_finite);
  EXPECT_THAT(error.what(), HasSubstr("row 1, column 4"));
}

}  // namespace
}  // namespace pare::quant
