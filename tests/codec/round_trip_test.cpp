// What goes in comes out: every type, size and tier, whole or tile by tile, for any threads.
#include "codec/encoded.h"
#include "io/hash.h"
#include "pare/codec.h"
#include "pare/error.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace pare {
namespace {

using codec::Content;
using codec::kTileBytes;
using codec::Tier;
using test::Bytes;
using test::encode;
using test::Encoded;
using test::view_of;

constexpr std::array kTiers = {Tier::dense, Tier::fast};

void expect_round_trip(const TensorView& tensor, Content content, const std::string& what) {
  for (const Tier tier : kTiers) {
    const Encoded encoded = encode(tensor, tier, content);
    const codec::TensorDecoder decoder = encoded.decoder();
    EXPECT_EQ(decoder.dtype(), tensor.dtype) << what;
    EXPECT_EQ(decoder.shape(), tensor.shape) << what;
    EXPECT_EQ(decoder.bytes(), tensor.data.size()) << what;
    EXPECT_EQ(decoder.content_hash(), io::xxh3(tensor.data)) << what;
    EXPECT_TRUE(std::ranges::equal(encoded.decoded(), tensor.data)) << what;
  }
}

TEST(CodecRoundTrip, EverySizeAroundChunksAndTiles) {
  const Bytes codes = test::sparse_codes(test::WeightSource::gauss, 0.02, true, 33, 6000, 1);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{63}, std::size_t{64},
        std::size_t{65}, std::size_t{127}, std::size_t{128}, std::size_t{129}, std::size_t{1000},
        kTileBytes - 1, kTileBytes, kTileBytes + 1, 3 * kTileBytes - 64, 5 * kTileBytes + 7}) {
    const Bytes part(codes.begin(), codes.begin() + static_cast<std::ptrdiff_t>(size));
    expect_round_trip(view_of(part), Content::elements, "bytes " + std::to_string(size));
    expect_round_trip(view_of(part, DType::u8), Content::packed_nibbles,
                      "nibbles " + std::to_string(size));
  }
}

TEST(CodecRoundTrip, EveryType) {
  for (const DType dtype :
       {DType::boolean, DType::u8, DType::i8, DType::i16, DType::u16, DType::i32, DType::u32,
        DType::i64, DType::u64, DType::f64, DType::f8_e4m3, DType::f8_e5m2}) {
    const Bytes codes = test::plain_codes(test::WeightSource::laplace, 3, 2 * kTileBytes + 640, 3);
    expect_round_trip(view_of(codes, dtype), Content::elements, std::string(name_of(dtype)));
  }
}

TEST(CodecRoundTrip, Floats) {
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    for (const std::size_t count : {1U, 31U, 64U, 65U, 8191U, 8192U, 8193U, 50001U}) {
      const Bytes floats = test::gaussian_floats(dtype, count, 4);
      expect_round_trip(view_of(floats, dtype), Content::elements,
                        std::string(name_of(dtype)) + " " + std::to_string(count));
    }
    Bytes wild = test::random_bytes(3 * kTileBytes, 5);  // NaN, infinities, denormals, both zeros
    expect_round_trip(view_of(wild, dtype), Content::elements, "any bits");
  }
}

TEST(CodecRoundTrip, ShapesOfAnyRank) {
  const Bytes codes = test::plain_codes(test::WeightSource::gauss, 2, 4096, 6);
  for (const Shape& shape : {Shape{4096}, Shape{64, 64}, Shape{2, 2, 2, 2, 4, 4, 4, 4}}) {
    expect_round_trip({DType::i8, shape, codes}, Content::elements, shape.text());
  }
  expect_round_trip({DType::i8, Shape{}, std::span(codes).first(1)}, Content::elements, "scalar");
  expect_round_trip({DType::i8, Shape{3, 0, 5}, {}}, Content::elements, "empty");
}

TEST(CodecRoundTrip, ExtremesOfBytes) {
  Bytes codes(2 * kTileBytes + 11, std::byte{0});
  expect_round_trip(view_of(codes), Content::elements, "all equal");
  codes.back() = std::byte{0x80};
  expect_round_trip(view_of(codes), Content::elements, "one that differs");
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i] = i % 7 == 0 ? std::byte{0x80} : i % 5 == 0 ? std::byte{0x7F} : std::byte{0};
  }
  expect_round_trip(view_of(codes), Content::elements, "-128 and 127");
  expect_round_trip(view_of(test::random_bytes(codes.size(), 8)), Content::elements, "noise");
  for (std::size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<std::byte>(i);
  expect_round_trip(view_of(codes), Content::elements, "each byte as often");
}

// Every shift, escape form and both kinds of table, by distributions that ask for them.
TEST(CodecRoundTrip, ManyDistributions) {
  for (const auto kind :
       {test::WeightSource::gauss, test::WeightSource::laplace, test::WeightSource::t4}) {
    for (const double bits : {0.3, 0.8, 1.2, 1.6, 2.2, 3.0, 4.5, 5.5, 6.5, 7.2}) {
      const Bytes codes = test::plain_codes(kind, bits, 3 * kTileBytes + 77, 9);
      expect_round_trip(view_of(codes), Content::elements, std::to_string(bits));
    }
  }
}

TEST(CodecRoundTrip, TilesAloneAndInAnyRange) {
  const Bytes codes = test::sparse_codes(test::WeightSource::t4, 0.03, false, 40, 8000, 10);
  for (const Tier tier : kTiers) {
    const Encoded encoded = encode(view_of(codes), tier);
    const codec::TensorDecoder decoder = encoded.decoder();
    codec::Scratch scratch;
    ASSERT_EQ(decoder.tiles(), 10);
    for (std::int64_t first = 0; first < 10; ++first) {
      for (std::int64_t count = 0; first + count <= 10; ++count) {
        const auto begin = static_cast<std::size_t>(first) * kTileBytes;
        std::size_t size = 0;
        for (std::int64_t t = first; t < first + count; ++t)
          size += decoder.tile_bytes(t);
        Bytes out(size);
        decoder.decode_tiles(first, count, out, scratch);
        EXPECT_TRUE(std::ranges::equal(out, std::span(codes).subspan(begin, size)))
            << first << " + " << count;
      }
    }
  }
}

// 40 tiles, scaled differently by runs of 16, so that the runs have tables of their own.
Bytes uneven_codes() {
  Bytes codes;
  for (const double bits : {2.0, 5.0, 3.0}) {
    const Bytes run = test::plain_codes(test::WeightSource::gauss, bits, 16 * kTileBytes, 11);
    codes.insert(codes.end(), run.begin(), run.end());
  }
  codes.resize(39 * kTileBytes + 5);
  return codes;
}

TEST(CodecRoundTrip, RunsWithTablesOfTheirOwn) {
  const Bytes codes = uneven_codes();
  const Encoded encoded = encode(view_of(codes));
  EXPECT_EQ(encoded.decoded(), codes);
  const codec::TensorDecoder decoder = encoded.decoder();
  codec::Scratch scratch;
  Bytes out(4 * kTileBytes);
  for (std::int64_t first = 12; first < 20; ++first) {  // across the border of two runs
    decoder.decode_tiles(first, 4, out, scratch);
    const auto begin = static_cast<std::size_t>(first) * kTileBytes;
    EXPECT_TRUE(std::ranges::equal(out, std::span(codes).subspan(begin, out.size()))) << first;
  }
  // One table would take the entropy of the mixture: about 3.9 bits instead of 3.4.
  EXPECT_LT(8.0 * static_cast<double>(encoded.size()) / static_cast<double>(codes.size()), 3.6);
}

TEST(CodecRoundTrip, SameBytesForAnyThreadsAndSteps) {
  for (const Bytes& codes : {uneven_codes(), test::packed_codes(40 * kTileBytes + 9, 12)}) {
    for (const Content content : {Content::elements, Content::packed_nibbles}) {
      const Encoded one = encode(view_of(codes), Tier::dense, content);
      for (const auto& [threads, step] : {std::pair{2, 0}, {1, 1}, {2, 7}, {3, 100}}) {
        const Encoded other = encode(view_of(codes), Tier::dense, content, threads, step);
        EXPECT_EQ(one.payload, other.payload) << threads << " threads, " << step << " tiles";
        EXPECT_EQ(one.index, other.index);
        EXPECT_EQ(one.info, other.info);
        EXPECT_EQ(other.decoded(threads), codes);
      }
    }
  }
}

TEST(CodecRoundTrip, CancelledByTheContext) {
  const Bytes codes = test::random_bytes(kTileBytes, 13);
  Context ctx(1);
  codec::TensorEncoder encoder(ctx, view_of(codes), Tier::dense, Content::elements);
  const Encoded encoded = encode(view_of(codes));
  ctx.cancel();
  RawBytes payload;
  EXPECT_THROW(encoder.encode(ctx, 1, payload), Error);
  Bytes out(codes.size());
  EXPECT_THROW(encoded.decoder().decode(ctx, out), Error);
}

}  // namespace
}  // namespace pare
