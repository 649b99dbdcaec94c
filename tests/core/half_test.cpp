// bf16 and f16: hand-worked values, every one of the 65,536 patterns, and rounding half to even.
#include "core/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace pare {
namespace {

constexpr std::uint32_t kPatterns = 0x10000;

F16 f16(std::uint32_t bits) { return {static_cast<std::uint16_t>(bits)}; }
BF16 bf16(std::uint32_t bits) { return {static_cast<std::uint16_t>(bits)}; }

TEST(F16, HandWorkedValues) {
  EXPECT_EQ(to_f16(0.5F).bits, 0x3800);
  EXPECT_EQ(to_f16(0.25F).bits, 0x3400);
  EXPECT_EQ(to_f16(0.1F).bits, 0x2E66);
  EXPECT_EQ(to_float(f16(0x2E66)), 0.0999755859375F);
  EXPECT_EQ(to_f16(-0.0F).bits, 0x8000);
  EXPECT_EQ(to_f16(65504.0F).bits, 0x7BFF);            // largest
  EXPECT_EQ(to_float(f16(0x0001)), 0x1p-24F);          // smallest subnormal
  EXPECT_EQ(to_float(f16(0x83FF)), -1023 * 0x1p-24F);  // largest subnormal
  EXPECT_EQ(to_float(f16(0x0400)), 0x1p-14F);          // smallest normal
}

TEST(F16, EveryPatternRoundTrips) {
  for (std::uint32_t bits = 0; bits < kPatterns; ++bits) {
    const float wide = to_float(f16(bits));
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(wide)))) << bits;
    } else {
      ASSERT_EQ(to_f16(wide).bits, bits);
    }
  }
}

TEST(F16, RoundsHalfToEvenBetweenAllNeighbours) {
  for (std::uint32_t bits = 0; bits < 0x7BFF; ++bits) {  // finite, and so is the next
    const float low = to_float(f16(bits));
    const float high = to_float(f16(bits + 1));
    const float middle = (low + high) / 2;  // exact: f32 has more digits
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(to_f16(middle).bits, even) << bits;
    ASSERT_EQ(to_f16(std::nextafter(middle, low)).bits, bits);
    ASSERT_EQ(to_f16(std::nextafter(middle, high)).bits, bits + 1);
    ASSERT_EQ(to_f16(-middle).bits, 0x8000U | even);
  }
}

TEST(F16, OverflowAndSpecials) {
  EXPECT_EQ(to_f16(65519.996F).bits, 0x7BFF);
  EXPECT_EQ(to_f16(65520.0F).bits, 0x7C00);  // half way to 65536: even is infinity
  EXPECT_EQ(to_f16(1e30F).bits, 0x7C00);
  EXPECT_EQ(to_f16(-std::numeric_limits<float>::infinity()).bits, 0xFC00);
  EXPECT_TRUE(std::isnan(to_float(to_f16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(to_f16(0x1p-25F).bits, 0x0000);  // half of the smallest: even is zero
  EXPECT_EQ(to_f16(std::numeric_limits<float>::denorm_min()).bits, 0x0000);
}

TEST(BF16, HandWorkedValues) {
  EXPECT_EQ(to_bf16(1.0F).bits, 0x3F80);
  EXPECT_EQ(to_bf16(-2.0F).bits, 0xC000);
  EXPECT_EQ(to_bf16(3.140625F).bits, 0x4049);
  EXPECT_EQ(to_float(bf16(0x4049)), 3.140625F);
}

TEST(BF16, EveryPatternRoundTrips) {
  for (std::uint32_t bits = 0; bits < kPatterns; ++bits) {
    const float wide = to_float(bf16(bits));
    if (std::isnan(wide)) {
      const std::uint16_t back = to_bf16(wide).bits;
      EXPECT_TRUE(std::isnan(to_float(bf16(back)))) << bits;
      EXPECT_EQ(back & 0x8000U, bits & 0x8000U);
    } else {
      ASSERT_EQ(to_bf16(wide).bits, bits);
    }
  }
}

TEST(BF16, RoundsHalfToEvenBetweenAllNeighbours) {
  for (std::uint32_t bits = 0; bits < 0x7F7F; ++bits) {
    const std::uint32_t low = bits << 16;
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(to_bf16(std::bit_cast<float>(low | 0x8000U)).bits, even);
    ASSERT_EQ(to_bf16(std::bit_cast<float>(low | 0x7FFFU)).bits, bits);
    ASSERT_EQ(to_bf16(std::bit_cast<float>(low | 0x8001U)).bits, bits + 1);
  }
}

TEST(BF16, OverflowAndSpecials) {
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7F80);  // rounds up to infinity
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::infinity()).bits, 0x7F80);
  // A NaN whose payload lies in the lower half only must not become infinity.
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7F800001U)))));
}

}  // namespace
}  // namespace pare
