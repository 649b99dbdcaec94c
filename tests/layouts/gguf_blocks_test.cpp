// Blocks of GGUF files and the order of rotary rows, with bytes worked out by hand.
#include "layouts/gguf/blocks.h"

#include "layouts/gguf/model.h"
#include "support/expect_error.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace pare::layout {
namespace {

using containers::GgufType;

/// One row of 32 codes, one scale.
quant::QuantizedLinear row_of(int bits, float scale, float zero, const std::vector<int>& codes) {
  quant::QuantizedLinear q;
  q.name = "m";
  q.out = 1;
  q.in = 32;
  q.scheme = {.weight_bits = bits, .symmetric = zero == 0};
  q.scale_dtype = DType::f16;
  quant::allocate(q);
  for (std::size_t i = 0; i < codes.size(); ++i)
    q.codes[i] = static_cast<std::int8_t>(codes[i]);
  q.scales = {scale};
  q.zeros = {zero};
  return q;
}

std::string hex_of(const quant::QuantizedLinear& q, GgufType type) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(containers::gguf_block(type).bytes));
  encode_row(q, 0, type, bytes);
  std::string text;
  constexpr const char* kDigits = "0123456789ABCDEF";
  for (const std::byte b : bytes) {
    text += kDigits[std::to_integer<int>(b) >> 4];
    text += kDigits[std::to_integer<int>(b) & 15];
  }
  return text;
}

std::vector<int> every_code_twice() {
  std::vector<int> codes;
  for (int i = 0; i < 32; ++i)
    codes.push_back(i % 16 - 8);
  return codes;
}

TEST(GgufBlocks, Q8IsAScaleAndTheCodes) {
  std::vector<int> codes(32, 0);
  codes[0] = -128;
  codes[1] = 127;
  codes[3] = -1;
  EXPECT_EQ(hex_of(row_of(8, 0.5F, 0, codes), GgufType::q8_0),
            "0038" "807F00FF" + std::string(56, '0'));  // F16 0.5 is 0x3800
}

TEST(GgufBlocks, Q4PairsACodeWithTheOneSixteenColumnsOn) {
  EXPECT_EQ(hex_of(row_of(4, 0.5F, 0, every_code_twice()), GgufType::q4_0),
            "0038" "00112233445566778899AABBCCDDEEFF");
}

TEST(GgufBlocks, Q41HoldsTheSmallestWeight) {
  // Z = zero + 8 = 5, m = -5 * 0.5 = -2.5, which is 0xC100 as F16.
  EXPECT_EQ(hex_of(row_of(4, 0.5F, -3, every_code_twice()), GgufType::q4_1),
            "0038" "00C1" "00112233445566778899AABBCCDDEEFF");
}

TEST(GgufBlocks, DecodingGivesBackCodesScaleAndZero) {
  for (const GgufType type : {GgufType::q4_0, GgufType::q4_1, GgufType::q8_0}) {
    const float zero = type == GgufType::q4_1 ? 7 : 0;
    const quant::QuantizedLinear q =
        row_of(type == GgufType::q8_0 ? 8 : 4, 0.0999755859375F, zero, every_code_twice());
    // 15 * 0x2E66 (0.0999755859375 = 1638 * 2^-14) needs 15 bits: not every zero is exact.
    quant::QuantizedLinear exact = q;
    exact.scales = {0.125F};
    std::vector<std::byte> bytes(static_cast<std::size_t>(containers::gguf_block(type).bytes));
    encode_row(exact, 0, type, bytes);
    std::vector<std::int8_t> codes(32);
    float scale = 0;
    float found = -1;
    decode_row(bytes, type, 32, {codes.data(), &scale, &found});
    EXPECT_EQ(codes, exact.codes);
    EXPECT_EQ(scale, 0.125F);
    EXPECT_EQ(found, zero);
  }
}

TEST(GgufBlocks, WhatF16DoesNotHoldIsRefused) {
  const quant::QuantizedLinear scale = row_of(4, 0.1F, 0, every_code_twice());
  EXPECT_NE(PARE_ERROR_TEXT(out_of_range, hex_of(scale, GgufType::q4_0)).find("row 0, group 0"),
            std::string::npos);
  // Scale 1638 * 2^-14 is exact, 15 times that (24570, 15 bits) is not: F16 has 11.
  const quant::QuantizedLinear offset = row_of(4, 0.0999755859375F, 7, every_code_twice());
  EXPECT_FALSE(PARE_ERROR_TEXT(scheme_not_supported, hex_of(offset, GgufType::q4_1)).empty());
}

TEST(GgufBlocks, BlocksOfOneGroupShareTheirScale) {
  std::vector<std::byte> row(36, std::byte{0x88});
  row[0] = row[18] = std::byte{0x00};
  row[1] = std::byte{0x38};   // 0.5
  row[19] = std::byte{0x3C};  // 1
  std::vector<float> scales(2);
  std::vector<float> zeros(2);
  EXPECT_FALSE(PARE_ERROR_TEXT(bad_description,
                               decode_row(row, GgufType::q4_0, 64, {nullptr, scales.data(), zeros.data()}))
                   .empty());
  decode_row(row, GgufType::q4_0, 32, {nullptr, scales.data(), zeros.data()});
  EXPECT_EQ(scales, (std::vector<float>{0.5F, 1}));
}

TEST(GgufBlocks, ScalesThatAreNoNumbersAndFloatOffsetsAreRefused) {
  std::vector<std::byte> row(20, std::byte{0});
  float scale = 0;
  float zero = 0;
  row[1] = std::byte{0x7C};  // infinity
  EXPECT_FALSE(PARE_ERROR_TEXT(not_finite, decode_row(row, GgufType::q4_1, 32, {nullptr, &scale, &zero})).empty());
  row[1] = std::byte{0x38};  // 0.5
  row[2] = std::byte{0x66};
  row[3] = std::byte{0xAE};  // -0.0999…: no whole multiple of 0.5
  EXPECT_FALSE(
      PARE_ERROR_TEXT(scheme_not_supported, decode_row(row, GgufType::q4_1, 32, {nullptr, &scale, &zero})).empty());
}

TEST(GgufModel, RotaryPairsInterleave) {
  // A head of 8: Hugging Face pairs rows 0 and 4, 1 and 5, …; the file has them side by side.
  const std::vector<std::int64_t> expected = {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15};
  for (std::int64_t row = 0; row < 16; ++row) {
    EXPECT_EQ(rotary_source_row(row, 8), expected[static_cast<std::size_t>(row)]) << row;
    EXPECT_EQ(rotary_file_row(rotary_source_row(row, 8), 8), row);
  }
}

}  // namespace
}  // namespace pare::layout
