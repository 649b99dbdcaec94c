// The header's rules, one by one, on bytes made by hand.
#include "containers/safetensors/header.h"
#include "containers/safetensors_files.h"
#include "support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pare::containers {
namespace {

using test::file_bytes;
using ::testing::HasSubstr;

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors_header(std::as_bytes(std::span(file)), "f.safetensors");
}

std::string damage(const std::string& file) {
  return PARE_ERROR_TEXT(bad_safetensors, parse(file));
}

/// One U8 tensor "a" with the given fields and `bytes` of data.
std::string one(std::string_view fields, std::size_t bytes) {
  return file_bytes("{\"a\":{" + std::string(fields) + "}}", std::string(bytes, 'x'));
}

TEST(SafetensorsHeader, ReferenceVectors) {
  // One F32 tensor [1,2,3]: header of 0x40 bytes, 96 in all.
  const std::string attn = file_bytes(
      R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})", std::string(24, '\0'));
  ASSERT_EQ(attn[0], 0x40);
  ASSERT_EQ(attn.size(), 96U);
  const SafetensorsHeader header = parse(attn);
  ASSERT_EQ(header.entries.size(), 1U);
  EXPECT_EQ(header.entries[0].info.name, "attn.0");
  EXPECT_EQ(header.entries[0].info.dtype, DType::f32);
  EXPECT_EQ(header.entries[0].info.shape, Shape({1, 2, 3}));
  EXPECT_EQ(header.entries[0].begin, 72U);
  EXPECT_EQ(header.entries[0].end, 96U);

  // No tensors: `{}` and six spaces, 16 bytes.
  EXPECT_TRUE(parse(file_bytes("{}      ")).entries.empty());

  // Five letters and [1,1,2,3] pad to 72.
  const std::string attn0 =
      file_bytes(R"({"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       )",
                 std::string(24, '\0'));
  ASSERT_EQ(attn0[0], 72);
  EXPECT_EQ(parse(attn0).entries[0].begin, 80U);
}

TEST(SafetensorsHeader, MetadataAndOrder) {
  const SafetensorsHeader header = parse(file_bytes(
      R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"__metadata__":{"format":"pt","k":"v"},)"
      R"("a":{"data_offsets":[2,4],"shape":[],"dtype":"BF16"},"c":{"dtype":"I8","shape":[0,7],"data_offsets":[4,4]}})",
      "1234"));
  ASSERT_EQ(header.entries.size(), 3U);
  EXPECT_EQ(header.entries[0].info.name, "a");
  EXPECT_EQ(header.entries[0].info.shape.rank(), 0U);
  EXPECT_EQ(header.entries[2].begin, header.entries[2].end);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_EQ(header.metadata.at("k"), "v");
}

TEST(SafetensorsHeader, LengthField) {
  EXPECT_THAT(damage(""), HasSubstr("only 0 bytes"));
  EXPECT_THAT(damage("1234567"), HasSubstr("only 7 bytes"));
  EXPECT_THAT(damage(std::string(8, '\0')), HasSubstr("does not start"));
  EXPECT_THAT(damage(std::string("\x03\0\0\0\0\0\0\0{}", 10)), HasSubstr("cut off"));
  EXPECT_THAT(damage(std::string("\0\0\0\0\0\0\0\x80{}", 10)), HasSubstr("9223372036854775808"));
  EXPECT_THAT(damage(std::string("\x01\xE1\xF5\x05\0\0\0\0{}", 10)), HasSubstr("100000001"));
  EXPECT_THAT(damage(std::string("\x00\xE1\xF5\x05\0\0\0\0{}", 10)), HasSubstr("cut off"));
}

TEST(SafetensorsHeader, NotAnObject) {
  for (const char* text : {"[]", " {}", "1", "\"a\"", "{", "{}}", "{} {}", "{\"a\":1}",
                           "{\"a\":[]}", "{\"a\":null}", "{\"\xFF\":{}}", "\xEF\xBB\xBF{}"}) {
    damage(file_bytes(text));
  }
  damage(file_bytes(std::string_view("{}\0\0", 4)));
}

TEST(SafetensorsHeader, FieldsOfATensor) {
  const std::string good = R"("dtype":"U8","shape":[2],"data_offsets":[0,2])";
  EXPECT_NO_THROW(parse(one(good, 2)));
  EXPECT_THAT(damage(one(good + R"(,"x":1)", 2)), HasSubstr("unknown field \"x\""));
  EXPECT_THAT(damage(one(good + R"(,"shape":[2])", 2)), HasSubstr("shape twice"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[2])", 2)), HasSubstr("data_offsets needed"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":2,"data_offsets":[0,2])", 2)),
              HasSubstr("a number"));
  EXPECT_THAT(damage(one(R"("dtype":8,"shape":[2],"data_offsets":[0,2])", 2)),
              HasSubstr("a number"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":"2","data_offsets":[0,2])", 2)),
              HasSubstr("a string"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[2],"data_offsets":[0])", 2)),
              HasSubstr("two offsets"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[2],"data_offsets":[0,2,2])", 2)),
              HasSubstr("two offsets"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[[2]],"data_offsets":[0,2])", 2)),
              HasSubstr("a list"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":{"a":2},"data_offsets":[0,2])", 2)),
              HasSubstr("an object"));
}

TEST(SafetensorsHeader, WholeNumbersOnly) {
  for (const char* dims : {"[-1]", "[1.5]", "[2.0]", "[1e0]", "[true]", "[null]", "[\"2\"]",
                           "[18446744073709551616]"}) {
    damage(one(R"("dtype":"U8","data_offsets":[0,2],"shape":)" + std::string(dims), 2));
  }
  for (const char* offsets : {"[-0.0,2]", "[0,2.0]", "[-1,2]", "[0,null]"}) {
    damage(one(R"("dtype":"U8","shape":[2],"data_offsets":)" + std::string(offsets), 2));
  }
}

TEST(SafetensorsHeader, SizesAndOverflow) {
  EXPECT_THAT(damage(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,2])", 2)),
              HasSubstr("takes 8 bytes"));
  EXPECT_THAT(
      damage(one(R"("dtype":"U8","shape":[1099511627776,1099511627776],"data_offsets":[0,0])", 0)),
      HasSubstr("overflow"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,0])", 0)),
              HasSubstr("beyond 2^63"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[2],"data_offsets":[2,0])", 2)),
              HasSubstr("2..0"));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[2],"data_offsets":[18446744073709551615,1])", 2)),
              HasSubstr("takes 2"));
  EXPECT_NO_THROW(parse(one(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,2],"data_offsets":[0,2])", 2)));
  EXPECT_THAT(damage(one(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,2])", 2)),
              HasSubstr("8 dimensions"));
}

TEST(SafetensorsHeader, Tiling) {
  const auto two = [](const char* a, const char* b, std::size_t bytes) {
    return file_bytes("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":" + std::string(a) +
                          "},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":" + b + "}}",
                      std::string(bytes, 'x'));
  };
  EXPECT_NO_THROW(parse(two("[2,4]", "[0,2]", 4)));
  EXPECT_THAT(damage(two("[0,2]", "[3,5]", 5)), HasSubstr("a gap"));
  EXPECT_THAT(damage(two("[1,3]", "[3,5]", 5)), HasSubstr("a gap"));
  EXPECT_THAT(damage(two("[0,2]", "[1,3]", 3)), HasSubstr("overlap"));
  EXPECT_THAT(damage(two("[0,2]", "[0,2]", 2)), HasSubstr("overlap"));
  EXPECT_THAT(damage(two("[0,2]", "[2,4]", 3)), HasSubstr("cut off"));
  EXPECT_THAT(damage(two("[0,2]", "[2,4]", 5)), HasSubstr("1 bytes after"));
  EXPECT_THAT(damage(file_bytes("{}", "x")), HasSubstr("1 bytes after"));
}

TEST(SafetensorsHeader, Names) {
  const std::string fields = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_THAT(damage(file_bytes("{\"a\":" + fields + ",\"a\":" + fields + "}")),
              HasSubstr("\"a\" twice"));
  EXPECT_THAT(damage(file_bytes("{\"a\":" + fields + ",\"\\u0061\":" + fields + "}")),
              HasSubstr("\"a\" twice"));
  EXPECT_THAT(damage(file_bytes("{\"\":" + fields + "}")), HasSubstr("without a name"));
  EXPECT_THAT(damage(file_bytes("{\"a\\n\":" + fields + "}")), HasSubstr("control characters"));
  EXPECT_THAT(damage(file_bytes("{\"" + std::string(5000, 'n') + "\":" + fields + "}")),
              HasSubstr("5000 bytes"));
}

TEST(SafetensorsHeader, Metadata) {
  for (const char* value :
       {"1", "[]", "{\"a\":1}", "{\"a\":{}}", "{\"a\":null}", "{\"a\":\"1\",\"a\":\"2\"}"}) {
    damage(file_bytes("{\"__metadata__\":" + std::string(value) + "}"));
  }
  EXPECT_THAT(damage(file_bytes(R"({"__metadata__":{},"__metadata__":{}})")), HasSubstr("twice"));
}

TEST(SafetensorsHeader, TypesOfLessThanAByte) {
  const auto header = parse(one(R"("dtype":"F4","shape":[3,2],"data_offsets":[0,3])", 3));
  EXPECT_EQ(header.entries[0].info.dtype, DType::f4);
  EXPECT_EQ(header.entries[0].info.nbytes(), 3U);
  EXPECT_THAT(damage(one(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])", 2)),
              HasSubstr("ends within a byte"));
}

TEST(SafetensorsHeader, ATypeOfTheFutureIsBytes) {
  const auto header = parse(one(R"("dtype":"F2_X","shape":[9],"data_offsets":[0,5])", 5));
  const TensorInfo& info = header.entries[0].info;
  EXPECT_EQ(info.dtype, DType::foreign);
  EXPECT_EQ(info.type_name(), "F2_X");
  EXPECT_EQ(info.nbytes(), 5U);
  // 41 elements have at least 41 bits, which 5 bytes do not have.
  EXPECT_NO_THROW(parse(one(R"("dtype":"F2_X","shape":[40],"data_offsets":[0,5])", 5)));
  damage(one(R"("dtype":"F2_X","shape":[41],"data_offsets":[0,5])", 5));
  damage(one(R"("dtype":"F2_X","shape":[4294967296,4294967296],"data_offsets":[0,5])", 5));
  damage(one(R"("dtype":"F2_X","shape":[1],"data_offsets":[5,0])", 5));
}

TEST(SafetensorsHeader, WhatCanBeNoTypeIsNamed) {
  const std::string text = PARE_ERROR_TEXT(
      unknown_dtype, parse(one(R"("dtype":"F8 E8M0","shape":[2],"data_offsets":[0,2])", 2)));
  EXPECT_THAT(text, HasSubstr("F8 E8M0"));
  EXPECT_THAT(text, HasSubstr("tensor \"a\""));
  EXPECT_THAT(text, HasSubstr("f.safetensors"));
  PARE_ERROR_TEXT(unknown_dtype, parse(one(R"("dtype":"u8","shape":[2],"data_offsets":[0,2])", 2)));
}

TEST(SafetensorsHeader, ErrorsNameThePlace) {
  const std::string text = damage(file_bytes("{\n\"a\":1}"));
  EXPECT_THAT(text, HasSubstr("header:2:"));
  EXPECT_THAT(text, HasSubstr("f.safetensors"));
}

}  // namespace
}  // namespace pare::containers
