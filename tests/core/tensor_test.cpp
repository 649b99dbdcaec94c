// Shapes, element types, and floats read and stored.
#include "pare/tensor.h"

#include "core/half.h"
#include "support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace pare {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DType, NamesAndSizes) {
  const std::vector<std::pair<const char*, std::size_t>> expected = {
      {"BOOL", 1},        {"U8", 1},         {"I8", 1},      {"I16", 2},     {"U16", 2},
      {"F16", 2},         {"BF16", 2},       {"I32", 4},     {"U32", 4},     {"F32", 4},
      {"I64", 8},         {"U64", 8},        {"F64", 8},     {"F8_E4M3", 1}, {"F8_E5M2", 1},
      {"C64", 8},         {"F4", 0},         {"F6_E2M3", 0}, {"F6_E3M2", 0}, {"F8_E8M0", 1},
      {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1}};
  for (const auto& [name, bytes] : expected) {
    const auto dtype = dtype_from_name(name);
    ASSERT_TRUE(dtype) << name;
    EXPECT_EQ(name_of(*dtype), name);
    EXPECT_EQ(size_of(*dtype), bytes) << name;
  }
  EXPECT_EQ(dtype_from_name("bf16"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
  EXPECT_EQ(dtype_from_name(name_of(DType::foreign)), std::nullopt);
}

TEST(DType, BytesOfMany) {
  EXPECT_EQ(bytes_of(DType::f32, 3), 12U);
  EXPECT_EQ(bytes_of(DType::f4, 6), 3U);
  EXPECT_EQ(bytes_of(DType::f4, 5), std::nullopt);  // 20 bits
  EXPECT_EQ(bytes_of(DType::f6_e2m3, 4), 3U);
  EXPECT_EQ(bytes_of(DType::f6_e3m2, 2), std::nullopt);  // 12 bits
  EXPECT_EQ(bytes_of(DType::f64, 0), 0U);
  EXPECT_EQ(bytes_of(DType::u8, -1), std::nullopt);
  EXPECT_EQ(bytes_of(DType::f64, std::int64_t{1} << 58), std::nullopt);  // 2^64 bits
  EXPECT_EQ(bytes_of(DType::foreign, 8), std::nullopt);
}

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape({}).numel(), 1);
  EXPECT_EQ(Shape({2, 3, 4}).numel(), 24);
  EXPECT_EQ(Shape({5, 0, 7}).numel(), 0);
  EXPECT_EQ(Shape({4096, 256}).text(), "[4096, 256]");
  EXPECT_EQ(Shape({}).text(), "[]");
}

TEST(Shape, RefusesOverflowAndNegativeSizes) {
  constexpr std::int64_t kBig = std::int64_t{1} << 40;
  EXPECT_THAT(PARE_ERROR_TEXT(tensor_mismatch, Shape({kBig, kBig}).numel()),
              HasSubstr("[1099511627776, 1099511627776]"));
  PARE_ERROR_TEXT(tensor_mismatch, Shape({-1}).numel());
  PARE_ERROR_TEXT(tensor_mismatch, Tensor(DType::f32, {2, -3}));
  EXPECT_EQ(Shape({std::numeric_limits<std::int64_t>::max()}).numel(),
            std::numeric_limits<std::int64_t>::max());
}

TEST(Tensor, BeginsAsZeros) {
  const Tensor tensor(DType::i16, {2, 3});
  EXPECT_EQ(tensor.view().data.size(), 12U);
  for (const std::byte byte : tensor.view().data)
    EXPECT_EQ(byte, std::byte{0});
  EXPECT_TRUE(Tensor().empty());
}

TEST(ReadFloats, WidensEveryWeightType) {
  const std::vector<std::uint16_t> halves = {0x3C00, 0xC000};  // 1, -2
  const std::vector<std::uint16_t> brains = {0x3F80, 0xC000};  // 1, -2
  const std::vector<float> singles = {1, -2};
  EXPECT_THAT(read_floats(Tensor::from<std::uint16_t>(DType::f16, {2}, halves).view()),
              ElementsAre(1, -2));
  EXPECT_THAT(read_floats(Tensor::from<std::uint16_t>(DType::bf16, {2}, brains).view()),
              ElementsAre(1, -2));
  EXPECT_THAT(read_floats(Tensor::from<float>(DType::f32, {2}, singles).view()),
              ElementsAre(1, -2));
  PARE_ERROR_TEXT(tensor_mismatch, read_floats(Tensor(DType::i8, {2}).view()));
}

TEST(ReadFloats, TakesRangesFromUnalignedBytes) {
  std::vector<std::byte> bytes(1 + 3 * sizeof(float));
  const std::vector<float> values = {1.5F, -2.5F, 3.5F};
  std::memcpy(bytes.data() + 1, values.data(), 12);
  const TensorView view{DType::f32, {3}, std::span(bytes).subspan(1)};
  std::vector<float> out(2);
  read_floats(view, 1, out);
  EXPECT_THAT(out, ElementsAre(-2.5F, 3.5F));
}

TEST(StoreFloats, RoundsOnce) {
  const std::vector<float> values = {0.1F, 1.0F};
  EXPECT_THAT(read_floats(store_floats(values, DType::f16, {2}).view()),
              ElementsAre(0.0999755859375F, 1));
  EXPECT_THAT(read_floats(store_floats(values, DType::f32, {2}).view()), ElementsAre(0.1F, 1));
  EXPECT_THAT(read_floats(store_floats(values, DType::bf16, {2}).view()),
              ElementsAre(to_float(to_bf16(0.1F)), 1));
  EXPECT_EQ(round_through(0.1F, DType::f16), 0.0999755859375F);
}

TEST(StoreFloats, RefusesFiniteValuesThatWouldBecomeInfinite) {
  const std::vector<float> large = {1, 65520};
  EXPECT_THAT(PARE_ERROR_TEXT(out_of_range, store_floats(large, DType::f16, {2})),
              HasSubstr("65520 is too large for F16"));
  EXPECT_NO_THROW(store_floats(large, DType::bf16, {2}));
  const std::vector<float> largest = {std::numeric_limits<float>::max()};
  PARE_ERROR_TEXT(out_of_range, store_floats(largest, DType::bf16, {1}));
  EXPECT_NO_THROW(store_floats(largest, DType::f32, {1}));
  const std::vector<float> infinite = {std::numeric_limits<float>::infinity()};
  EXPECT_TRUE(std::isinf(read_floats(store_floats(infinite, DType::f16, {1}).view())[0]));
}

TEST(MatrixView, RowsAndStrides) {
  std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7};
  const MatrixView<float> whole(values.data(), 2, 3, 4);  // the fourth column belongs to nobody
  EXPECT_THAT(whole.row_span(1), ElementsAre(4, 5, 6));
  EXPECT_THAT(whole.rows_from(1, 1).row_span(0), ElementsAre(4, 5, 6));
}

}  // namespace
}  // namespace pare
