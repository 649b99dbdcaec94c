#include "kernels/attention.h"

#include "kernels/reference.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

namespace pare::kernels {
namespace {

struct Case {
  std::int64_t queries, keys, heads, kv_heads, head_dim, window;
};

// One query and a few (read straight from the cache), blocks, several slabs of keys, a window
// smaller and larger than a slab, grouped heads, odd head sizes, more keys than queries.
const Case kCases[] = {
    {1, 1, 1, 1, 4, 0},        {1, 70, 4, 2, 16, 0},     {5, 300, 2, 1, 33, 7},
    {9, 9, 2, 2, 8, 0},        {64, 64, 4, 4, 32, 0},    {65, 65, 4, 2, 64, 0},
    {130, 600, 2, 1, 40, 0},   {300, 300, 3, 1, 128, 0}, {300, 300, 2, 2, 16, 20},
    {100, 700, 2, 2, 24, 290}, {20, 530, 6, 3, 20, 1}};

struct Operands {
  AttentionShape shape;
  Matrix q, k, v;
};

Operands operands(const Case& c) {
  Operands o;
  o.shape = {c.heads, c.kv_heads, c.head_dim, c.window,
             1.0F / std::sqrt(static_cast<float>(c.head_dim))};
  o.q = reference::random_matrix(c.queries, c.heads * c.head_dim, 1);
  for (float& v : o.q.values())
    v *= 4;  // scores spread widely enough for the softmax to matter
  o.k = reference::random_matrix(c.keys, c.kv_heads * c.head_dim, 2);
  o.v = reference::random_matrix(c.keys, c.kv_heads * c.head_dim, 3);
  return o;
}

Matrix run(const Context& ctx, const Operands& o, Compute compute, Isa isa = current_isa()) {
  Matrix out(o.q.rows(), o.q.cols());
  std::fill(out.values().begin(), out.values().end(), std::numeric_limits<float>::quiet_NaN());
  attention(ctx, o.shape, o.q.view(), o.k.view(), o.v.view(), out.view(), compute, isa);
  return out;
}

double largest_difference(const Matrix& a, const Matrix& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.values().size(); ++i) {
    const double d =
        std::fabs(static_cast<double>(a.values()[i]) - static_cast<double>(b.values()[i]));
    if (!(d <= largest)) largest = d;
  }
  return largest;
}

std::string label(const Case& c) {
  return std::to_string(c.queries) + " queries, " + std::to_string(c.keys) + " keys, heads " +
         std::to_string(c.heads) + "/" + std::to_string(c.kv_heads) + " of " +
         std::to_string(c.head_dim) + ", window " + std::to_string(c.window);
}

TEST(Attention, TwoKeysByHand) {
  // Query 0 sees key 0 only: out = v0 = 1. Query 1: scores 0 and ln 3, weights 1/4 and 3/4:
  // out = 1 * 1/4 + 5 * 3/4 = 4.
  Operands o;
  o.shape = {1, 1, 1, 0, 1.0F};
  o.q = Matrix(2, 1);
  o.q.values() = {1, 1};
  o.k = Matrix(2, 1);
  o.k.values() = {0, std::log(3.0F)};
  o.v = Matrix(2, 1);
  o.v.values() = {1, 5};
  const Context ctx(1);
  const Matrix out = run(ctx, o, Compute::f32);
  EXPECT_FLOAT_EQ(out.values()[0], 1.0F);
  EXPECT_NEAR(out.values()[1], 4.0F, 1e-6F);
}

TEST(Attention, F32AgreesWithDoublePrecisionInTheSameBitsOnEveryIsa) {
  const Context ctx(2);
  for (const Case& c : kCases) {
    const Operands o = operands(c);
    // |score| <= 4 sqrt(D); its error, D 2^-24 of that, shifts a weight by as much relatively;
    // values are at most 1. The softmax itself adds a few 2^-24.
    const double d = static_cast<double>(c.head_dim);
    const double bound = (4 * std::sqrt(d) * d + static_cast<double>(c.keys) + 16) * 0x1p-24;
    const Matrix expected = reference::attention(o.shape, o.q, o.k, o.v);
    const Matrix scalar = run(ctx, o, Compute::f32, Isa::scalar);
    EXPECT_LE(largest_difference(scalar, expected), bound) << label(c);
    for (const Isa isa : available_isas()) {
      EXPECT_EQ(run(ctx, o, Compute::f32, isa).values(), scalar.values())
          << label(c) << " " << isa_name(isa);
    }
  }
}

TEST(Attention, Bf16AgreesWithinItsRounding) {
  const Context ctx(2);
  for (const Case& c : kCases) {
    const Operands o = operands(c);
    // q and k rounded by 2^-9 each move a score by at most 4 sqrt(D) 2^-8 (and a weight by that
    // relatively, in both directions); weights and values are rounded by 2^-9 each.
    const double bound = (2 * 4 * std::sqrt(static_cast<double>(c.head_dim)) + 2) * 0x1p-8;
    const Matrix expected = reference::attention(o.shape, o.q, o.k, o.v);
    for (const Isa isa : available_isas()) {
      EXPECT_LE(largest_difference(run(ctx, o, Compute::bf16, isa), expected), bound)
          << label(c) << " " << isa_name(isa);
    }
  }
}

TEST(Attention, Bf16OnRoundedOperandsIsClose) {
  // With operands that are bf16 already only the weights' rounding is left: 2^-9 of each.
  const Context ctx(1);
  Operands o = operands({200, 200, 2, 2, 64, 0});
  o.q = reference::rounded_to_bf16(o.q);
  o.k = reference::rounded_to_bf16(o.k);
  o.v = reference::rounded_to_bf16(o.v);
  const Matrix expected = reference::attention(o.shape, o.q, o.k, o.v);
  for (const Isa isa : available_isas()) {
    EXPECT_LE(largest_difference(run(ctx, o, Compute::bf16, isa), expected), 0x1p-9 + 1e-5)
        << isa_name(isa);
  }
}

TEST(Attention, SameBytesForAnyNumberOfThreads) {
  const Context one(1);
  const Context two(2);
  const Context seven(7);
  for (const Case& c : {Case{3, 50, 4, 2, 32, 0}, Case{200, 330, 4, 2, 48, 0}}) {
    const Operands o = operands(c);
    for (const Compute compute : {Compute::f32, Compute::bf16}) {
      const Matrix expected = run(one, o, compute);
      EXPECT_EQ(run(two, o, compute).values(), expected.values());
      EXPECT_EQ(run(seven, o, compute).values(), expected.values());
    }
  }
}

TEST(Attention, KeysOutsideTheWindowDoNotMatter) {
  const Context ctx(1);
  for (const std::int64_t queries : {2, 40}) {
    Operands o = operands({queries, 300, 1, 1, 16, 10});
    const Matrix before = run(ctx, o, Compute::f32);
    // The first query's position is 300 - queries, so keys up to that less 10 are never seen.
    for (std::int64_t j = 0; j <= 300 - queries - 10; ++j) {
      for (std::int64_t d = 0; d < 16; ++d)
        o.k.view().row(j)[d] = o.v.view().row(j)[d] = 1e6F;
    }
    EXPECT_EQ(run(ctx, o, Compute::f32).values(), before.values());
    o.v.view().row(300 - queries - 9)[0] += 1;
    EXPECT_NE(run(ctx, o, Compute::f32).values(), before.values());
  }
}

TEST(Attention, NaNInAQueryStaysInItsRow) {
  const Context ctx(1);
  Operands o = operands({20, 20, 1, 1, 8, 0});
  o.q.view().row(7)[3] = std::numeric_limits<float>::quiet_NaN();
  for (const Compute compute : {Compute::f32, Compute::bf16}) {
    const Matrix out = run(ctx, o, compute);
    for (std::int64_t t = 0; t < 20; ++t) {
      EXPECT_EQ(std::isnan(out.view().row(t)[0]), t == 7) << t;
    }
  }
}

}  // namespace
}  // namespace pare::kernels
