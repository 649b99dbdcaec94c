// Packing of 4-bit codes against words worked out by hand.
#include "layouts/ascend/math/int4.h"

#include "pare/error.h"

#include <gtest/gtest.h>

#include <cstring>

namespace pare::layout {
namespace {

std::vector<int> bytes_of(const Tensor& tensor) {
  std::vector<int> bytes;
  for (const std::byte b : tensor.view().data)
    bytes.push_back(std::to_integer<int>(b));
  return bytes;
}

/// Eight rows of u(o, i) = (3o + 5i) mod 16, less 8.
std::vector<std::int8_t> ramp() {
  std::vector<std::int8_t> codes;
  for (int o = 0; o < 8; ++o) {
    for (int i = 0; i < 8; ++i)
      codes.push_back(static_cast<std::int8_t>((3 * o + 5 * i) % 16 - 8));
  }
  return codes;
}

const std::vector<std::int8_t> kSmall = {-8, -7, -6, -5, 1, 2, 3, 4, 5, 6, 7, 0, -1, -2, -3, -4};

TEST(Int4, PairsOfOutputs) {
  const Tensor packed = pack_int4(kSmall, 4, 4, Packing::outputs);
  EXPECT_EQ(packed.dtype(), DType::i8);
  EXPECT_EQ(packed.shape(), (Shape{2, 4}));
  EXPECT_EQ(bytes_of(packed), (std::vector<int>{0x18, 0x29, 0x3A, 0x4B, 0xF5, 0xE6, 0xD7, 0xC0}));
}

TEST(Int4, PairsOfInputs) {
  const Tensor packed = pack_int4(kSmall, 4, 4, Packing::inputs);
  EXPECT_EQ(packed.shape(), (Shape{4, 2}));
  EXPECT_EQ(bytes_of(packed), (std::vector<int>{0x98, 0xBA, 0x21, 0x43, 0x65, 0x07, 0xEF, 0xCD}));
}

TEST(Int4, GoldenRows) {
  std::vector<int> outputs = bytes_of(pack_int4(ramp(), 8, 8, Packing::outputs));
  outputs.resize(8);
  EXPECT_EQ(outputs, (std::vector<int>{0xB8, 0x0D, 0x52, 0xA7, 0xFC, 0x41, 0x96, 0xEB}));
  std::vector<int> inputs = bytes_of(pack_int4(ramp(), 8, 8, Packing::inputs));
  inputs.resize(4);
  EXPECT_EQ(inputs, (std::vector<int>{0xD8, 0x72, 0x1C, 0xB6}));
}

TEST(Int4, UnpackingGoldenBytes) {
  const std::vector<int> words = {0x98, 0xBA, 0x21, 0x43};
  std::vector<std::byte> bytes;
  for (const int word : words)
    bytes.push_back(static_cast<std::byte>(word));
  EXPECT_EQ(unpack_int4(bytes, 2, 4, Packing::inputs),
            (std::vector<std::int8_t>{-8, -7, -6, -5, 1, 2, 3, 4}));
  EXPECT_EQ(unpack_int4(bytes, 4, 2, Packing::outputs),
            (std::vector<std::int8_t>{-8, -6, -7, -5, 1, 3, 2, 4}));
}

TEST(Int4, BothWaysComeBack) {
  for (const Packing packing : {Packing::inputs, Packing::outputs}) {
    const Tensor packed = pack_int4(ramp(), 8, 8, packing);
    EXPECT_EQ(unpack_int4(packed.view().data, 8, 8, packing), ramp());
  }
}

TEST(Int4, AxisFollowsTheScales) {
  quant::Scheme scheme{.weight_bits = 4};
  EXPECT_EQ(packing_of(scheme, 128), Packing::inputs);
  scheme.granularity = quant::Granularity::tensor;
  EXPECT_EQ(packing_of(scheme, 128), Packing::inputs);
  scheme.granularity = quant::Granularity::group;
  scheme.group_size = 64;
  EXPECT_EQ(packing_of(scheme, 128), Packing::outputs);
  EXPECT_EQ(packing_of(scheme, 64), Packing::inputs) << "one group is one scale per row";
  scheme.weight_bits = 8;
  EXPECT_EQ(packing_of(scheme, 128), Packing::none);
}

TEST(Int4, RefusesWhatDoesNotFit) {
  EXPECT_THROW(pack_int4(std::vector<std::int8_t>(6), 2, 3, Packing::inputs), Error);
  EXPECT_THROW(pack_int4(std::vector<std::int8_t>(6), 3, 2, Packing::outputs), Error);
  EXPECT_THROW(pack_int4(std::vector<std::int8_t>{8, 0}, 1, 2, Packing::inputs), Error);
  EXPECT_THROW(pack_int4(std::vector<std::int8_t>{-9, 0}, 1, 2, Packing::inputs), Error);
}

}  // namespace
}  // namespace pare::layout
