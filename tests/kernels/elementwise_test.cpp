#include "kernels/elementwise.h"

#include "kernels/isa.h"
#include "kernels/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace pare::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

/// Distance in units of the last place of the expected value (normal range).
double ulps(float got, double expected) {
  const double unit = std::ldexp(1.0, std::max(std::ilogb(expected), -126) - 23);
  return std::fabs(static_cast<double>(got) - expected) / unit;
}

TEST(RmsNorm, ByHand) {
  // mean of squares of (3, 4) is 12.5; with eps 3.5 the root is 4: (3, 4) / 4 * (2, 8).
  const Context ctx(1);
  Matrix x(1, 2);
  x.values() = {3, 4};
  const float w[] = {2, 8};
  Matrix y(1, 2);
  rms_norm(ctx, x.view(), w, 3.5F, y.view());
  EXPECT_EQ(y.values(), (std::vector<float>{1.5F, 8.0F}));
}

TEST(RmsNorm, AgreesWithDoubleAndWorksInPlace) {
  const Context ctx(2);
  for (const std::int64_t n : {1, 15, 16, 17, 100, 4096}) {
    Matrix x = reference::random_matrix(5, n, 1);
    const Matrix before = x;
    const Matrix w = reference::random_matrix(1, n, 2);
    rms_norm(ctx, x.view(), w.values(), 1e-6F, x.view());
    for (std::int64_t r = 0; r < 5; ++r) {
      double squares = 0;
      for (const float v : before.view().row_span(r))
        squares += static_cast<double>(v) * v;
      const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-6);
      for (std::int64_t i = 0; i < n; ++i) {
        const double expected = static_cast<double>(before.view().row(r)[i]) * factor *
                                static_cast<double>(w.values()[static_cast<std::size_t>(i)]);
        ASSERT_LE(ulps(x.view().row(r)[i], expected), 3.0) << n;
      }
    }
  }
}

TEST(Silu, WithinAFewUnitsInTheLastPlace) {
  const Context ctx(1);
  Matrix gate(1, 20001);
  Matrix up(1, 20001);
  for (std::int64_t i = 0; i < 20001; ++i) {
    gate.view().row(0)[i] = static_cast<float>(i - 10000) * 0.0085F;  // -85 .. 85
    up.view().row(0)[i] = 1;
  }
  const Matrix z = gate;
  silu_mul(ctx, gate.view(), up.view());
  for (std::size_t i = 0; i < gate.values().size(); ++i) {
    const double v = static_cast<double>(z.values()[i]);
    const double expected = v / (1 + std::exp(-v));
    if (expected == 0) continue;
    ASSERT_LE(ulps(gate.values()[i], expected), 4.0) << v;
  }
}

TEST(Silu, EndsOfTheRange) {
  const Context ctx(1);
  Matrix gate(1, 5);
  gate.values() = {-200.0F, 200.0F, 0.0F, -kInf, std::numeric_limits<float>::quiet_NaN()};
  Matrix up(1, 5);
  up.values() = {1, 2, 3, 1, 1};
  silu_mul(ctx, gate.view(), up.view());
  EXPECT_EQ(gate.values()[0], 0.0F);
  EXPECT_EQ(gate.values()[1], 400.0F);
  EXPECT_EQ(gate.values()[2], 0.0F);
  EXPECT_TRUE(std::isnan(gate.values()[3]));  // -inf / inf, as torch's formula gives
  EXPECT_TRUE(std::isnan(gate.values()[4]));
}

TEST(Rope, HalfRotateByHand) {
  // Two heads of width 4, cos = (0.5, 0), sin = (0.25, 1):
  // (1, 2 | 3, 4) -> 1*.5 - 3*.25 = -.25, 2*0 - 4*1 = -4 | 3*.5 + 1*.25 = 1.75, 4*0 + 2*1 = 2.
  // (8, 0 | 0, 1) -> 4, -1 | 2, 0.
  const Context ctx(1);
  Matrix x(1, 8);
  x.values() = {1, 2, 3, 4, 8, 0, 0, 1};
  Matrix cos(1, 2);
  cos.values() = {0.5F, 0.0F};
  Matrix sin(1, 2);
  sin.values() = {0.25F, 1.0F};
  rope_half(ctx, x.view(), 4, cos.view(), sin.view());
  EXPECT_EQ(x.values(), (std::vector<float>{-0.25F, -4, 1.75F, 2, 4, -1, 2, 0}));
}

TEST(Rope, WideHeadsUseTheSameFormula) {
  const Context ctx(2);
  const std::int64_t half = 37;
  Matrix x = reference::random_matrix(6, 3 * 2 * half, 1);
  const Matrix before = x;
  const Matrix cos = reference::random_matrix(6, half, 2);
  const Matrix sin = reference::random_matrix(6, half, 3);
  rope_half(ctx, x.view(), 2 * half, cos.view(), sin.view());
  for (std::int64_t t = 0; t < 6; ++t) {
    for (std::int64_t at = 0; at < 3 * half; ++at) {
      const std::int64_t i = at % half;
      const std::int64_t one = at / half * 2 * half + i;
      const float a = before.view().row(t)[one];
      const float b = before.view().row(t)[one + half];
      const float c = cos.view().row(t)[i];
      const float s = sin.view().row(t)[i];
      ASSERT_FLOAT_EQ(x.view().row(t)[one], a * c - b * s);
      ASSERT_FLOAT_EQ(x.view().row(t)[one + half], b * c + a * s);
    }
  }
}

TEST(Add, RowsAndBias) {
  const Context ctx(2);
  Matrix x(2, 3);
  x.values() = {1, 2, 3, 4, 5, 6};
  Matrix y(2, 3);
  y.values() = {10, 20, 30, 40, 50, 60};
  add_rows(ctx, x.view(), y.view());
  EXPECT_EQ(x.values(), (std::vector<float>{11, 22, 33, 44, 55, 66}));
  const float bias[] = {1, 0, -1};
  add_bias(ctx, x.view(), bias);
  EXPECT_EQ(x.values(), (std::vector<float>{12, 22, 32, 45, 55, 65}));
}

TEST(LogSumExp, ByHandAndAtTheEnds) {
  // log(1 + 1 + 2) = log 4, with 1000 added to every value.
  const float x[] = {1000.0F, 1000.0F, 1000.0F + std::log(2.0F)};
  EXPECT_NEAR(log_sum_exp(x).value, 1000.0F + std::log(4.0F), 1e-4F);
  EXPECT_EQ(log_sum_exp(x).argmax, 2);
  const float tie[] = {0, 5, 5, -kInf};
  EXPECT_EQ(log_sum_exp(tie).argmax, 1);
  EXPECT_NEAR(log_sum_exp(tie).value, 5.0F + std::log(2.0F + std::exp(-5.0F)), 1e-6F);
  const float one[] = {-3.5F};
  EXPECT_EQ(log_sum_exp(one).value, -3.5F);
  const float nan[] = {1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_TRUE(std::isnan(log_sum_exp(nan).value));
}

TEST(LogSumExp, AgreesWithDouble) {
  const Matrix x = reference::random_matrix(1, 32003, 5);
  double sum = 0;
  for (const float v : x.values())
    sum += std::exp(8.0 * static_cast<double>(v));
  Matrix wide = x;
  for (float& v : wide.values())
    v *= 8;
  EXPECT_NEAR(log_sum_exp(wide.values()).value, std::log(sum), 2e-6);
}

// The row loops promise the same bits on every instruction set.
TEST(RowKernels, SameBitsOnEveryIsa) {
  const detail::RowKernels& base = detail::row_kernels_for(Isa::scalar);
  for (const Isa isa : available_isas()) {
    const detail::RowKernels& other = detail::row_kernels_for(isa);
    for (const std::int64_t n : {1, 7, 16, 31, 100, 1000, 5000}) {
      const Matrix x = reference::random_matrix(1, n, 1);
      const Matrix y = reference::random_matrix(1, n, 2);
      const float* px = x.values().data();
      const float* py = y.values().data();
      EXPECT_EQ(base.dot(px, py, n), other.dot(px, py, n)) << isa_name(isa);
      EXPECT_EQ(base.max(px, n), other.max(px, n)) << isa_name(isa);
      EXPECT_EQ(base.sum_exp(px, 1.0F, n), other.sum_exp(px, 1.0F, n)) << isa_name(isa);
      Matrix a = x;
      Matrix b = x;
      EXPECT_EQ(base.exp_shifted(a.values().data(), 9.0F, 3.0F, n),
                other.exp_shifted(b.values().data(), 9.0F, 3.0F, n));
      EXPECT_EQ(a.values(), b.values()) << isa_name(isa);
      base.silu_mul(a.values().data(), py, n);
      other.silu_mul(b.values().data(), py, n);
      base.rms_norm(a.values().data(), py, 1e-5F, a.values().data(), n);
      other.rms_norm(b.values().data(), py, 1e-5F, b.values().data(), n);
      base.add_scaled(a.values().data(), 0.3F, py, n);
      other.add_scaled(b.values().data(), 0.3F, py, n);
      EXPECT_EQ(a.values(), b.values()) << isa_name(isa);
    }
  }
}

TEST(RowKernels, ExpIsAccurateAndReachesItsEnds) {
  for (const Isa isa : available_isas()) {
    const detail::RowKernels& kernels = detail::row_kernels_for(isa);
    std::vector<float> x;
    for (int i = -8700; i <= 8800; ++i)
      x.push_back(static_cast<float>(i) * 0.01F);
    std::vector<float> e = x;
    kernels.exp_shifted(e.data(), 1.0F, 0.0F, static_cast<std::int64_t>(e.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_LE(ulps(e[i], std::exp(static_cast<double>(x[i]))), 2.0) << x[i];
    }
    float ends[] = {-kInf, -110.0F, -100.0F, 0.0F, 89.0F, kInf};
    kernels.exp_shifted(ends, 1.0F, 0.0F, 6);
    EXPECT_EQ(ends[0], 0.0F);
    EXPECT_EQ(ends[1], 0.0F);
    EXPECT_NEAR(ends[2], std::exp(-100.0), 3e-45);  // subnormal: two steps of its grid
    EXPECT_EQ(ends[3], 1.0F);
    EXPECT_EQ(ends[4], kInf);
    EXPECT_EQ(ends[5], kInf);
  }
}

TEST(RowKernels, SixteenBitFloatsWiden) {
  // 1.5 and -2 in bf16 (0x3FC0, 0xC000) and in f16 (0x3E00, 0xC000); f16 0x0001 is 2^-24.
  for (const Isa isa : available_isas()) {
    const detail::RowKernels& kernels = detail::row_kernels_for(isa);
    std::uint8_t bytes[1 + 2 * 11];
    std::uint16_t halves[11] = {0x3FC0, 0xC000, 0x7F80};
    std::memcpy(bytes + 1, halves, sizeof halves);
    float out[11];
    kernels.widen_bf16(bytes + 1, out, 11);
    EXPECT_EQ(out[0], 1.5F);
    EXPECT_EQ(out[1], -2.0F);
    EXPECT_EQ(out[2], kInf);
    std::uint16_t f16[11] = {0x3E00, 0xC000, 0x0001, 0, 0, 0, 0, 0, 0, 0x7C00, 0x3C00};
    std::memcpy(bytes + 1, f16, sizeof f16);
    kernels.widen_f16(bytes + 1, out, 11);
    EXPECT_EQ(out[0], 1.5F);
    EXPECT_EQ(out[1], -2.0F);
    EXPECT_EQ(out[2], 0x1p-24F);
    EXPECT_EQ(out[9], kInf);
    EXPECT_EQ(out[10], 1.0F);
  }
}

}  // namespace
}  // namespace pare::kernels
