// How near to the entropy the codec comes, with everything counted.
#include "codec/encoded.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

namespace pare {
namespace {

using codec::kTileBytes;
using test::Bytes;
using test::WeightSource;

constexpr std::size_t kBytes = std::size_t{2} << 20U;

// Bits per symbol over the entropy, as a fraction; prints the figures.
double overhead(const std::string& what, const Bytes& codes) {
  const test::Encoded encoded = test::encode(test::view_of(codes));
  EXPECT_TRUE(encoded.worthwhile) << what;
  EXPECT_EQ(encoded.decoded(), codes) << what;
  const double entropy = test::entropy_of(codes);
  const double bits = 8.0 * static_cast<double>(encoded.size()) / static_cast<double>(codes.size());
  std::printf("  %-28s entropy %.4f, coded %.4f, %+.2f %%\n", what.c_str(), entropy, bits,
              100 * (bits / entropy - 1));
  return bits / entropy - 1;
}

TEST(CodecSize, SparseQuantizedWeights) {
  double sum = 0;
  for (const auto& [kind, name] :
       {std::pair{WeightSource::gauss, "gauss"}, {WeightSource::t4, "t4"}}) {
    for (const double f : {0.01, 0.05}) {
      for (const bool spread : {false, true}) {
        const std::string what =
            std::string(name) + (f < 0.02 ? " 1 %" : " 5 %") + (spread ? " spread" : "");
        const Bytes codes = test::sparse_codes(kind, f, spread, kBytes / 8192, 8192, 7);
        const double over = overhead(what, codes);
        EXPECT_LE(over, 0.015) << what;
        sum += over;
      }
    }
  }
  EXPECT_LE(sum / 8, 0.0096);  // what uneven slots for even states are worth shows here
}

TEST(CodecSize, PlainCodes) {
  for (const auto& [kind, name] :
       {std::pair{WeightSource::gauss, "gauss"}, {WeightSource::laplace, "Laplace"}}) {
    for (const double bits : {1.5, 2.0, 3.0, 4.0, 5.0, 6.0}) {
      const std::string what =
          std::string(name) + " " + std::to_string(bits).substr(0, 3) + " bits";
      const Bytes codes = test::plain_codes(kind, bits, kBytes, 9);
      EXPECT_LE(overhead(what, codes), 0.015) << what;
    }
  }
}

TEST(CodecSize, PackedNibbles) {
  const Bytes codes = test::packed_codes(kBytes / 2, 3);
  Bytes symbols;
  for (const std::byte b : codes) {
    symbols.push_back(b & std::byte{15});
    symbols.push_back(b >> 4);
  }
  const test::Encoded encoded = test::encode(test::view_of(codes, DType::u8), codec::Tier::dense,
                                             codec::Content::packed_nibbles);
  const double limit = test::entropy_of(symbols) * static_cast<double>(symbols.size()) / 8;
  EXPECT_LE(static_cast<double>(encoded.size()), 1.015 * limit);
}

// The exponents of gaussian bf16 are about 2.5 bits of 8; sign and mantissa stay as they are.
TEST(CodecSize, Bfloat16) {
  const Bytes floats = test::gaussian_floats(DType::bf16, kBytes / 2, 5);
  Bytes exponents;
  for (std::size_t i = 0; i < floats.size(); i += 2) {
    exponents.push_back((floats[i + 1] << 1) | (floats[i] >> 7));
  }
  const test::Encoded encoded = test::encode(test::view_of(floats, DType::bf16));
  const double limit =
      static_cast<double>(exponents.size()) * (8 + test::entropy_of(exponents)) / 8;
  EXPECT_LE(static_cast<double>(encoded.size()), 1.01 * limit);
  EXPECT_EQ(encoded.decoded(), floats);
}

TEST(CodecSize, FastTier) {
  const Bytes codes = test::sparse_codes(WeightSource::gauss, 0.01, false, 64, 8192, 7);
  const test::Encoded encoded = test::encode(test::view_of(codes), codec::Tier::fast);
  EXPECT_LE(static_cast<double>(encoded.size()), 0.51 * static_cast<double>(codes.size()));
}

TEST(CodecSize, NeverMuchLargerThanRaw) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{100}, kTileBytes, 40 * kTileBytes + 1}) {
    for (const codec::Tier tier : {codec::Tier::dense, codec::Tier::fast}) {
      const test::Encoded encoded = test::encode(test::view_of(test::random_bytes(size, 3)), tier);
      EXPECT_FALSE(encoded.worthwhile) << size;
      // A byte and an index row for each tile; the description is of fixed size.
      const std::size_t tiles = (size + kTileBytes - 1) / kTileBytes;
      EXPECT_LE(encoded.payload.size() + encoded.index.size(), size + 9 * tiles) << size;
      EXPECT_LE(static_cast<double>(encoded.size()), 1.001 * static_cast<double>(size) + 100);
    }
  }
}

TEST(CodecSize, ConstantTilesTakeTwoBytes) {
  const test::Encoded encoded = test::encode(test::view_of(Bytes(100 * kTileBytes, std::byte{7})));
  EXPECT_TRUE(encoded.worthwhile);
  EXPECT_EQ(encoded.payload.size(), 200U);
}

TEST(CodecSize, EstimateAgrees) {
  for (const double bits : {1.5, 3.5, 5.0}) {
    const Bytes codes = test::plain_codes(WeightSource::gauss, bits, kBytes / 2, 9);
    std::array<std::uint64_t, 256> counts{};
    for (const std::byte b : codes)
      ++counts[std::to_integer<std::size_t>(b)];
    const codec::Estimate estimate = codec::estimate(counts);
    const test::Encoded encoded = test::encode(test::view_of(codes));
    const double real =
        8.0 * static_cast<double>(encoded.size()) / static_cast<double>(codes.size());
    EXPECT_NEAR(estimate.entropy_bits, test::entropy_of(codes), 1e-9);
    EXPECT_NEAR(estimate.coded_bits, real, 0.002 * real) << bits;
  }
}

TEST(CodecSize, EstimateOfLittle) {
  std::array<std::uint64_t, 256> counts{};
  EXPECT_EQ(codec::estimate(counts).coded_bits, 0);
  counts[5] = std::uint64_t{1} << 50U;  // one value: two bytes a tile and its row of the index
  EXPECT_DOUBLE_EQ(codec::estimate(counts).coded_bits, 10 * 8 / 32768.0);
  counts.fill(std::uint64_t{1} << 50U);
  EXPECT_EQ(codec::estimate(counts).entropy_bits, 8);
  EXPECT_NEAR(codec::estimate(counts).coded_bits, 8, 0.003);
}

}  // namespace
}  // namespace pare
