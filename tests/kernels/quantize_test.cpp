// Row kernels of quantization against plain scalar arithmetic, with every instruction set this
// machine has.
#include "kernels/quantize.h"

#include "core/half.h"
#include "core/rng.h"
#include "pare/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace pare::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Runs every test once per instruction set.
class QuantizeKernels : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { use(GetParam()); }
  void TearDown() override { use(0); }

 private:
  static void use(std::int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

INSTANTIATE_TEST_SUITE_P(EveryIsa, QuantizeKernels,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const testing::TestParamInfo<std::int64_t>& target) {
                           return std::string(hwy::TargetName(target.param));
                         });

std::int8_t code_by_hand(float x, float scale, float zero, int lo, int hi) {
  const float code = std::nearbyint(x / scale + zero);
  return static_cast<std::int8_t>(
      std::fmin(std::fmax(code, static_cast<float>(lo)), static_cast<float>(hi)));
}

std::vector<float> random_values(std::size_t count, float width, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& v : values)
    v = static_cast<float>(rng.uniform() * 2 - 1) * width;
  return values;
}

/// `values` as `dtype`, at an odd address.
struct Unaligned {
  Unaligned(const std::vector<float>& values, DType dtype) {
    const Tensor tensor =
        store_floats(values, dtype, Shape{static_cast<std::int64_t>(values.size())});
    const TensorView view = tensor.view();
    storage.resize(view.data.size() + 1);
    std::copy(view.data.begin(), view.data.end(), storage.begin() + 1);
  }
  const std::byte* data() const { return storage.data() + 1; }
  std::vector<std::byte> storage;
};

std::vector<std::int8_t> codes_of(const std::vector<float>& x, DType dtype, float scale, float zero,
                                  int lo, int hi) {
  std::vector<std::int8_t> codes(x.size() + 1, 99);
  quantize_row(dtype, Unaligned(x, dtype).data(), static_cast<std::int64_t>(x.size()), scale, zero,
               lo, hi, codes.data());
  EXPECT_EQ(codes.back(), 99) << "wrote beyond the row";
  codes.pop_back();
  return codes;
}

TEST_P(QuantizeKernels, HalvesGoToTheEvenCode) {
  const std::vector<float> x{0.5F, 1.5F, 2.5F, -0.5F, -1.5F, -2.5F, 126.5F, 127.5F, -128.5F};
  EXPECT_THAT(codes_of(x, DType::f32, 1, 0, -128, 127),
              testing::ElementsAre(0, 2, 2, 0, -2, -2, 126, 127, -128));
}

TEST_P(QuantizeKernels, JustBelowAHalfGoesDown) {
  const float below = std::nextafter(0.5F, 0.0F);
  EXPECT_THAT(codes_of({below, -below}, DType::f32, 1, 0, -128, 127), testing::ElementsAre(0, 0));
}

TEST_P(QuantizeKernels, DividesByTheScale) {
  // Each x is (even + 0.5) * 0.3F, and x / 0.3F in f32 is exactly that half; x times the f32 next
  // to 1 / 0.3F is the f32 after it, which would go to the odd code.
  const std::vector<float> x{12.5F * 0.3F, 22.5F * 0.3F, 58.5F * 0.3F, 114.5F * 0.3F};
  EXPECT_THAT(codes_of(x, DType::f32, 0.3F, 0, -128, 127), testing::ElementsAre(12, 22, 58, 114));
}

TEST_P(QuantizeKernels, KnownVector) {
  const std::vector<float> x{-1.3F, -0.5F, 0.26F, 0.8F, 1.27F, 2.0F};
  EXPECT_THAT(codes_of(x, DType::f32, 0.01F, 0, -128, 127),
              testing::ElementsAre(-128, -50, 26, 80, 127, 127));
  EXPECT_THAT(codes_of(x, DType::f32, 0.01F, 0, -127, 127),
              testing::ElementsAre(-127, -50, 26, 80, 127, 127));
  EXPECT_THAT(codes_of(x, DType::f32, 0.01F, 3, -127, 127),
              testing::ElementsAre(-127, -47, 29, 83, 127, 127));
}

TEST_P(QuantizeKernels, HugeQuotientsClamp) {
  EXPECT_THAT(codes_of({3e38F, -3e38F, 0.0F}, DType::f32, 1e-38F, 0, -7, 7),
              testing::ElementsAre(7, -7, 0));
}

TEST_P(QuantizeKernels, EveryLengthAndTypeEqualsTheScalarAnswer) {
  for (std::size_t count = 0; count < 70; ++count) {
    const std::vector<float> values = random_values(count, 1.2F, count);
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      std::vector<std::int8_t> expected;
      for (const float v : values) {
        expected.push_back(code_by_hand(round_through(v, dtype), 0.0091F, 5, -128, 127));
      }
      EXPECT_EQ(codes_of(values, dtype, 0.0091F, 5, -128, 127), expected)
          << name_of(dtype) << " x " << count;
    }
  }
}

TEST_P(QuantizeKernels, EveryBitPatternWidens) {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i)
    bits[i] = static_cast<std::uint16_t>(i);
  std::vector<float> out(bits.size());
  const auto* data = reinterpret_cast<const std::byte*>(bits.data());
  for (const DType dtype : {DType::f16, DType::bf16}) {
    widen_row(dtype, data, 65536, out.data());
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const float expected = dtype == DType::f16 ? to_float(F16{bits[i]}) : to_float(BF16{bits[i]});
      ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), std::bit_cast<std::uint32_t>(expected))
          << name_of(dtype) << " bits " << i;
    }
  }
}

TEST_P(QuantizeKernels, RangeOfEveryLengthAndType) {
  for (std::size_t count = 1; count < 70; ++count) {
    const std::vector<float> values = random_values(count, 3, 7 * count);
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      float low = kInf;
      float high = -kInf;
      for (const float v : values) {
        low = std::fmin(low, round_through(v, dtype));
        high = std::fmax(high, round_through(v, dtype));
      }
      const MinMax range =
          min_max_bytes(dtype, Unaligned(values, dtype).data(), static_cast<std::int64_t>(count));
      EXPECT_EQ(range.min, low) << count;
      EXPECT_EQ(range.max, high) << count;
      EXPECT_TRUE(range.finite);
    }
  }
}

TEST_P(QuantizeKernels, RangeOfNothingAndOfZeros) {
  EXPECT_EQ(min_max({}).min, 0);
  EXPECT_EQ(min_max({}).max, 0);
  EXPECT_TRUE(min_max({}).finite);
  const MinMax zeros = min_max(std::vector<float>{-0.0F, -0.0F, 0.0F});
  EXPECT_FALSE(std::signbit(zeros.min));
  EXPECT_FALSE(std::signbit(zeros.max));
}

TEST_P(QuantizeKernels, OneBadValueAnywhereIsSeen) {
  const std::vector<float> bad_values{kNan, -kNan, kInf, -kInf};
  for (std::size_t count = 1; count < 40; ++count) {
    for (std::size_t place = 0; place < count; ++place) {
      std::vector<float> values(count, 0.25F);
      values[place] = bad_values[place % 4];
      EXPECT_FALSE(min_max(values).finite) << place << " of " << count;
      for (const DType dtype : {DType::f16, DType::bf16}) {
        const Unaligned stored(values, dtype);
        EXPECT_FALSE(min_max_bytes(dtype, stored.data(), static_cast<std::int64_t>(count)).finite)
            << name_of(dtype) << " " << place << " of " << count;
      }
    }
  }
}

TEST_P(QuantizeKernels, TheLargestFiniteValuesAreFinite) {
  const std::uint16_t largest_half = 0x7BFF;
  const float largest = std::numeric_limits<float>::max();
  EXPECT_TRUE(min_max(std::vector<float>{largest, -largest}).finite);
  EXPECT_EQ(min_max(std::vector<float>{largest, largest}).min, largest);
  const MinMax half =
      min_max_bytes(DType::f16, reinterpret_cast<const std::byte*>(&largest_half), 1);
  EXPECT_TRUE(half.finite);
  EXPECT_EQ(half.max, 65504);
}

TEST_P(QuantizeKernels, DequantizesEveryCode) {
  std::vector<std::int8_t> codes(256);
  for (int i = 0; i < 256; ++i)
    codes[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(i);
  std::vector<float> out(256);
  dequantize_row(codes.data(), 251, 0.3F, -7, out.data());  // 251: a row that ends in mid-vector
  for (std::size_t i = 0; i < 251; ++i) {
    EXPECT_EQ(out[i], (static_cast<float>(codes[i]) + 7) * 0.3F);
  }
  EXPECT_EQ(out[251], 0);
}

TEST_P(QuantizeKernels, FakeQuantizesInPlaceOnce) {
  for (std::size_t count = 0; count < 40; ++count) {
    std::vector<float> x = random_values(count, 2, count + 1);
    std::vector<float> expected;
    for (const float v : x) {
      const float code = std::fmin(std::fmax(std::nearbyint(v / 0.013F + 11), -128.0F), 127.0F);
      expected.push_back((code - 11) * 0.013F);
    }
    fake_quantize_row(x.data(), static_cast<std::int64_t>(count), 0.013F, 11, -128, 127);
    EXPECT_EQ(x, expected) << count;
  }
}

TEST_P(QuantizeKernels, RowErrorByHand) {
  std::vector<float> original(11, 0.0F);
  std::vector<float> approximation(11, 0.0F);
  original[1] = 3;
  approximation[1] = 2;    // error 1
  original[10] = -4;       // in the part after the last eight
  approximation[10] = -2;  // error -2
  const RowError error = row_error(original.data(), approximation.data(), 11);
  EXPECT_EQ(error.signal, 25);
  EXPECT_EQ(error.noise, 5);
  EXPECT_EQ(error.max_abs, 2);
}

TEST_P(QuantizeKernels, RowErrorHasTheSameBitsAsTheDefaultTarget) {
  const std::vector<float> a = random_values(1003, 1, 1);
  const std::vector<float> b = random_values(1003, 1, 2);
  const RowError here = row_error(a.data(), b.data(), 1003);
  TearDown();
  const RowError best = row_error(a.data(), b.data(), 1003);
  EXPECT_EQ(here.signal, best.signal);
  EXPECT_EQ(here.noise, best.noise);
  EXPECT_EQ(here.max_abs, best.max_abs);
}

/// Every f16 value, the halves between neighbours and a little to either side of them, and counts
/// that are no whole vectors.
TEST_P(QuantizeKernels, NarrowingRoundsLikeTheScalarConversion) {
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0x7C00U; ++bits) {
    const float low = to_float(F16{static_cast<std::uint16_t>(bits)});
    const float high =
        bits == 0x7BFFU ? 65536.0F : to_float(F16{static_cast<std::uint16_t>(bits + 1)});
    const float middle = low + (high - low) / 2;
    for (const float v :
         {low, middle, std::nextafter(middle, 0.0F), std::nextafter(middle, kInf)}) {
      values.push_back(v);
      values.push_back(-v);
    }
  }
  std::vector<F16> halves(values.size());
  const auto count = static_cast<std::int64_t>(values.size());
  EXPECT_FALSE(narrow_row_f16(values.data(), count, reinterpret_cast<std::byte*>(halves.data())));
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(halves[i].bits, to_f16(values[i]).bits) << values[i];
  for (std::int64_t few = 0; few < 40; ++few) {
    std::vector<F16> part(41, F16{0xABCD});
    EXPECT_TRUE(narrow_row_f16(values.data(), few, reinterpret_cast<std::byte*>(part.data())));
    for (std::int64_t i = 0; i < 41; ++i) {
      const std::uint16_t meant =
          i < few ? to_f16(values[static_cast<std::size_t>(i)]).bits : 0xABCD;
      ASSERT_EQ(part[static_cast<std::size_t>(i)].bits, meant) << few << " " << i;
    }
  }
}

/// 65519.996 is the last that rounds down to 65504; the next has no finite neighbour.
TEST_P(QuantizeKernels, NarrowingTellsOfInfinity) {
  F16 half;
  auto* out = reinterpret_cast<std::byte*>(&half);
  for (const float sign : {1.0F, -1.0F}) {
    const float last = sign * std::nextafter(65520.0F, 0.0F);
    EXPECT_TRUE(narrow_row_f16(&last, 1, out));
    EXPECT_EQ(to_float(half), sign * 65504.0F);
    const float large = sign * 65520.0F;
    EXPECT_FALSE(narrow_row_f16(&large, 1, out));
  }
}

}  // namespace
}  // namespace pare::kernels
