// Dequantization and the measure of its error, by hand.
#include "quant/distortion.h"

#include "pare/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace pare::quant {
namespace {

QuantizedLinear two_by_four() {
  QuantizedLinear q;
  q.scheme = {4, false, Granularity::group, 2, Activations::none};
  q.out = 2;
  q.in = 4;
  q.codes = {1, 2, 3, 4, -8, 7, 0, 5};
  q.scales = {0.5F, 2.0F, 1.0F, 0.25F};
  q.zeros = {0, 1, -2, 3};
  return q;
}

TEST(Dequantize, EachGroupHasItsOwnScaleAndZero) {
  const Context ctx(1);
  Matrix out(2, 4);
  dequantize(ctx, two_by_four(), out.view());
  EXPECT_EQ(out.values(), (std::vector<float>{0.5F, 1, 4, 6, -6, 9, -0.75F, 0.5F}));
}

TEST(Dequantize, OneScalePerTensorAndPerRow) {
  const Context ctx(1);
  QuantizedLinear q = two_by_four();
  Matrix out(2, 4);
  q.scheme = {8, true, Granularity::tensor, 0, Activations::none};
  q.scales = {2};
  q.zeros = {0};
  dequantize(ctx, q, out.view());
  EXPECT_EQ(out.values(), (std::vector<float>{2, 4, 6, 8, -16, 14, 0, 10}));
  q.scheme.granularity = Granularity::channel;
  q.scales = {1, 3};
  q.zeros = {0, 0};
  dequantize(ctx, q, out.view());
  EXPECT_EQ(out.values(), (std::vector<float>{1, 2, 3, 4, -24, 21, 0, 15}));
}

TEST(Dequantize, KeepsToTheStrideOfTheOutput) {
  const Context ctx(1);
  std::vector<float> storage(12, 77.0F);
  dequantize(ctx, two_by_four(), MatrixView<float>(storage.data(), 2, 4, 6));
  EXPECT_EQ(storage[4], 77);
  EXPECT_EQ(storage[6], -6);
}

TEST(Distortion, DecibelsByHand) {
  Distortion d;
  d.add(std::vector<float>{10, 0}, std::vector<float>{9, 0});
  EXPECT_EQ(d.signal, 100);
  EXPECT_EQ(d.noise, 1);
  EXPECT_EQ(d.count, 2);
  EXPECT_DOUBLE_EQ(d.sqnr_db(), 20);
  d.add(std::vector<float>{0, 0, 0}, std::vector<float>{0, 3, 0});
  EXPECT_DOUBLE_EQ(d.sqnr_db(), 10);
  EXPECT_EQ(d.max_abs_error, 3);
  EXPECT_EQ(d.count, 5);
}

TEST(Distortion, NoNoiseAndNoSignal) {
  EXPECT_EQ(Distortion{}.sqnr_db(), std::numeric_limits<double>::infinity());
  Distortion only_noise;
  only_noise.add(std::vector<float>{0}, std::vector<float>{1});
  EXPECT_EQ(only_noise.sqnr_db(), 0);
}

TEST(WeightDistortion, AgainstTheDequantizedMatrixForAnyThreadCount) {
  QuantizedLinear q;
  q.scheme = {8, false, Granularity::group, 1536, Activations::none};
  q.out = 70;
  q.in = 3072;  // groups longer than a chunk, rows that make several tasks
  q.scales.assign(140, 0.5F);
  q.zeros.assign(140, 2.0F);
  for (std::int64_t i = 0; i < q.out * q.in; ++i) {
    q.codes.push_back(static_cast<std::int8_t>(i * 37 % 256 - 128));
  }
  const Context one(1);
  Matrix dequantized(q.out, q.in);
  dequantize(one, q, dequantized.view());
  std::vector<float> original = dequantized.values();
  original[5] += 3;
  original.back() -= 1;
  const Tensor weight = store_floats(original, DType::f32, {q.out, q.in});
  const Distortion d = weight_distortion(one, weight.view(), q);
  EXPECT_EQ(d.noise, 10);
  EXPECT_EQ(d.max_abs_error, 3);
  EXPECT_EQ(d.count, q.out * q.in);
  const Distortion many = weight_distortion(Context(7), weight.view(), q);
  EXPECT_EQ(many.signal, d.signal);
  EXPECT_EQ(many.noise, d.noise);
}

TEST(WeightDistortion, RefusesAnotherShape) {
  const Tensor weight(DType::f32, {4, 2});
  EXPECT_THROW(weight_distortion(Context(1), weight.view(), two_by_four()), Error);
}

}  // namespace
}  // namespace pare::quant
