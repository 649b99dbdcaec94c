// deq_scale and quant_bias against numbers worked out by hand.
#include "layouts/ascend/math/static_algebra.h"

#include "pare/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace pare::layout {
namespace {

/// One row per code triple; the same scale for weights and input.
quant::QuantizedLinear linear_of(std::vector<std::int8_t> codes, std::int64_t out,
                                 std::vector<float> scales, float input_scale, float zero_point) {
  quant::QuantizedLinear q;
  q.scheme.activations = quant::Activations::static_tensor;
  q.out = out;
  q.in = static_cast<std::int64_t>(codes.size()) / out;
  q.codes = std::move(codes);
  q.scheme.granularity =
      scales.size() == 1 && out > 1 ? quant::Granularity::tensor : quant::Granularity::channel;
  q.scales = std::move(scales);
  q.zeros.resize(q.scales.size());
  q.input = quant::ActivationParams{input_scale, zero_point, DType::f32};
  return q;
}

void give_bias(quant::QuantizedLinear& q, const std::vector<float>& values) {
  q.bias = store_floats(values, DType::f32, {static_cast<std::int64_t>(values.size())});
}

TEST(StaticAlgebra, WorkedExample) {
  quant::QuantizedLinear q = linear_of({10, -20, 30}, 1, {0.02F}, 0.02F, 5);
  give_bias(q, {0.3F});
  const std::vector<float> deq = deq_scales(q);
  ASSERT_EQ(deq.size(), 1U);
  EXPECT_FLOAT_EQ(deq[0], 0.0004F);
  EXPECT_EQ(code_sums(q), (std::vector<std::int64_t>{20}));
  const std::vector<std::int32_t> quant_bias = quant_biases(q, deq);
  EXPECT_EQ(quant_bias, (std::vector<std::int32_t>{650}));
  const std::vector<int> x_q = {30, -45, 105};  // of 0.5, -1, 2
  const int sum = x_q[0] * 10 + x_q[1] * -20 + x_q[2] * 30;
  EXPECT_EQ(sum, 4350);
  EXPECT_FLOAT_EQ(static_cast<float>(sum + quant_bias[0]) * deq[0], 2.0F);
  const std::vector<float> bias = effective_bias(q, quant_bias, deq);
  ASSERT_EQ(bias.size(), 1U);
  EXPECT_FLOAT_EQ(bias[0], 0.3F);
}

TEST(StaticAlgebra, ProductIsNotRoundedToHalfPrecision) {
  const float scale = 1.0078125F;  // exact in bf16; its square is not
  const quant::QuantizedLinear q = linear_of({1}, 1, {scale}, scale, 0);
  EXPECT_EQ(deq_scales(q)[0], 1.01568603515625F);
}

TEST(StaticAlgebra, OneScaleForAllRows) {
  quant::QuantizedLinear q = linear_of({1, 2, 3, -4}, 2, {0.5F}, 0.25F, 2);
  give_bias(q, {1.0F, -1.0F});
  const std::vector<float> deq = deq_scales(q);
  EXPECT_EQ(deq, (std::vector<float>{0.125F}));
  EXPECT_EQ(quant_biases(q, deq), (std::vector<std::int32_t>{8 - 6, -8 + 2}));
  EXPECT_EQ(effective_bias(q, quant_biases(q, deq), deq), (std::vector<float>{1.0F, -1.0F}));
}

TEST(StaticAlgebra, HalvesGoToTheEvenNeighbour) {
  quant::QuantizedLinear q = linear_of({0, 0, 0, 0, 0}, 5, std::vector<float>(5, 1.0F), 1.0F, -3);
  give_bias(q, {0.5F, 1.5F, 2.5F, -0.5F, -1.5F});
  EXPECT_EQ(quant_biases(q, deq_scales(q)), (std::vector<std::int32_t>{0, 2, 2, 0, -2}));
}

TEST(StaticAlgebra, WithoutBiasOnlyTheZeroPointCounts) {
  const quant::QuantizedLinear q = linear_of({100, 100, -7, 0}, 2, {0.1F, 0.2F}, 0.3F, -128);
  const std::vector<float> deq = deq_scales(q);
  const std::vector<std::int32_t> quant_bias = quant_biases(q, deq);
  EXPECT_EQ(quant_bias, (std::vector<std::int32_t>{25600, -896}));
  EXPECT_TRUE(effective_bias(q, quant_bias, deq).empty());
}

TEST(StaticAlgebra, TooLargeForItsType) {
  quant::QuantizedLinear q = linear_of({1, 1}, 2, {1e-6F, 1e-6F}, 1e-6F, 0);
  give_bias(q, {0.0F, 1.0F});
  try {
    quant_biases(q, deq_scales(q));
    FAIL() << "1e12 fits no 32 bits";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_range);
    EXPECT_NE(error.detail().find("row 1"), std::string::npos) << error.what();
  }
  give_bias(q, {std::nanf(""), 0.0F});
  EXPECT_THROW(quant_biases(q, deq_scales(q)), Error);
  EXPECT_THROW(deq_scales(linear_of({1}, 1, {1e-30F}, 1e-30F, 0)), Error);
  EXPECT_THROW(deq_scales(linear_of({1}, 1, {1e30F}, 1e30F, 0)), Error);
}

TEST(StaticAlgebra, LimitsOf32BitsAreReached) {
  quant::QuantizedLinear q = linear_of({0, 0}, 2, {1.0F, 1.0F}, 1.0F, 0);
  give_bias(q, {-2147483648.0F, 2147483520.0F});
  EXPECT_EQ(quant_biases(q, deq_scales(q)),
            (std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::min(), 2147483520}));
  give_bias(q, {2147483648.0F, 0.0F});
  EXPECT_THROW(quant_biases(q, deq_scales(q)), Error);
}

std::vector<std::int64_t> integers_of(const Tensor& tensor) {
  std::vector<std::int64_t> values(tensor.view().data.size() / 8);
  std::memcpy(values.data(), tensor.view().data.data(), tensor.view().data.size());
  return values;
}

TEST(DeqScale, BitsInA64BitInteger) {
  const std::vector<float> deq = {0.001F, 0.5F, 1.0F};
  const Tensor stored = store_deq_scales(deq, deq_scale_dtype(DType::f16), {3});
  EXPECT_EQ(stored.dtype(), DType::i64);
  EXPECT_EQ(integers_of(stored), (std::vector<std::int64_t>{981668463, 1056964608, 1065353216}));
  EXPECT_EQ(load_deq_scales(stored.view()), deq);
}

TEST(DeqScale, PlainForBf16Models) {
  EXPECT_EQ(deq_scale_dtype(DType::bf16), DType::f32);
  EXPECT_EQ(deq_scale_dtype(DType::f32), DType::i64);
  const std::vector<float> deq = {0.001F, 0.5F};
  const Tensor stored = store_deq_scales(deq, DType::f32, {2});
  EXPECT_EQ(stored.dtype(), DType::f32);
  EXPECT_EQ(load_deq_scales(stored.view()), deq);
}

TEST(DeqScale, RefusesOtherNumbers) {
  const std::vector<std::int64_t> wide = {std::int64_t{1} << 40};
  EXPECT_THROW(load_deq_scales(Tensor::from<std::int64_t>(DType::i64, {1}, wide).view()), Error);
  EXPECT_THROW(load_deq_scales(Tensor(DType::i32, {1}).view()), Error);
}

}  // namespace
}  // namespace pare::layout
