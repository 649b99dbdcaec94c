// The GGUF header: written and read back, and whatever a file may claim, read within its bytes.
#include "containers/gguf/file.h"
#include "containers/gguf/writer.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

namespace pare::containers {
namespace {

using ::testing::HasSubstr;

GgufHeader parse(const std::string& file) {
  return parse_gguf_header(std::as_bytes(std::span(file)), "f.gguf");
}

std::string damage(const std::string& file) { return PARE_ERROR_TEXT(bad_gguf, parse(file)); }

/// The parts of a file, put together by the rules of the format and nothing of Pare's writer.
struct FileParts {
  std::string values;
  std::string tensors;
  std::uint64_t value_count = 0;
  std::uint64_t tensor_count = 0;
  std::string data;

  template <typename T>
  static void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  static void put_text(std::string& out, std::string_view text) {
    put(out, std::uint64_t{text.size()});
    out += text;
  }

  FileParts& u32(std::string_view key, std::uint32_t value) {
    put_text(values, key);
    put(values, std::uint32_t{4});
    put(values, value);
    ++value_count;
    return *this;
  }
  FileParts& tensor(std::string_view name, std::initializer_list<std::uint64_t> innermost_first,
                    std::uint32_t type, std::uint64_t offset) {
    put_text(tensors, name);
    put(tensors, static_cast<std::uint32_t>(innermost_first.size()));
    for (const std::uint64_t dim : innermost_first)
      put(tensors, dim);
    put(tensors, type);
    put(tensors, offset);
    ++tensor_count;
    return *this;
  }
  std::string file(std::uint32_t version = 3) const {
    std::string out = "GGUF";
    put(out, version);
    put(out, tensor_count);
    put(out, value_count);
    out += values + tensors;
    out.resize((out.size() + 31) / 32 * 32, '\0');
    return out + data;
  }
};

/// One F32 matrix [2, 3] and one Q4_0 row of 32.
FileParts good() {
  FileParts parts;
  parts.u32("general.file_type", 2).tensor("a", {3, 2}, 0, 0).tensor("b", {32, 1}, 2, 32);
  parts.data.assign(32 + 18, 'x');
  return parts;
}

TEST(Gguf, ShapesAreOutermostFirstAndOffsetsAbsolute) {
  const std::string file = good().file();
  const GgufHeader header = parse(file);
  ASSERT_EQ(header.tensors.size(), 2U);
  EXPECT_EQ(header.tensors[0].shape, Shape({2, 3}));
  EXPECT_EQ(header.tensors[0].begin, file.size() - 50);
  EXPECT_EQ(header.tensors[0].size, 24U);
  EXPECT_EQ(header.tensors[1].size, 18U);
  EXPECT_EQ(header.tensors[1].block->name, "Q4_0");
  EXPECT_EQ(header.unsigned_value("general.file_type"), 2U);
  EXPECT_EQ(header.unsigned_value("no.such.key"), std::nullopt);
  EXPECT_EQ(PARE_ERROR_TEXT(bad_gguf, header.text("general.file_type")).empty(), false);
}

TEST(Gguf, TheWritersBytesAreTheFormats) {
  const test::TempDir folder;
  GgufMetadata metadata;
  metadata.add_u32("general.file_type", 2);
  GgufWriter writer(folder.path() / "f.gguf", metadata,
                    {{"a", GgufType::f32, {2, 3}}, {"b", GgufType::q4_0, {1, 32}}});
  const std::string data(24, 'x');
  writer.write("b", 0, std::as_bytes(std::span(data)).first(18));
  writer.write("a", 0, std::as_bytes(std::span(data)).first(8));
  writer.write("a", 8, std::as_bytes(std::span(data)).subspan(8));
  writer.finish(0640);
  std::string expected = good().file();
  const std::size_t begin = expected.size() - 50;
  std::memset(expected.data() + begin + 24, 0, 8);  // between the tensors
  expected.resize((expected.size() + 31) / 32 * 32, '\0');
  std::string written = test::get_file(folder.path() / "f.gguf");
  written.resize(expected.size(), '\0');
  EXPECT_EQ(written, expected);
}

TEST(Gguf, AWriterMissesNoBytes) {
  const test::TempDir folder;
  GgufWriter writer(folder.path() / "f.gguf", {}, {{"a", GgufType::f32, {2}}});
  EXPECT_FALSE(PARE_ERROR_TEXT(internal, writer.finish(0640)).empty());
}

TEST(Gguf, EveryTruncationIsAnError) {
  const std::string file = good().file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_THROW(parse(file.substr(0, size)), Error) << size;
  }
}

/// Whatever is read of a damaged file lies inside it.
void expect_inside(const std::string& file) {
  try {
    const GgufHeader header = parse(file);
    for (const GgufTensor& tensor : header.tensors) {
      ASSERT_LE(tensor.begin, file.size());
      ASSERT_LE(tensor.size, file.size() - tensor.begin);
    }
  } catch (const Error& error) {
    ASSERT_NE(error.kind(), ErrorKind::internal) << error.what();
  }
}

TEST(Gguf, EveryByteMayBeAnything) {
  const std::string file = good().file();
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const int value : {0, 1, 0x7F, 0x80, 0xFF, file[at] ^ 1, file[at] ^ 0x80}) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(value);
      expect_inside(damaged);
    }
  }
}

TEST(Gguf, CountsAndLengthsBeyondTheFile) {
  FileParts parts = good();
  parts.tensor_count = UINT64_MAX;
  EXPECT_THAT(damage(parts.file()), HasSubstr("tensors do not fit"));
  parts = good();
  parts.value_count = UINT64_MAX / 2;
  EXPECT_THAT(damage(parts.file()), HasSubstr("key-values do not fit"));
  parts = good();
  FileParts::put(parts.values, UINT64_MAX);  // length of the next key
  parts.value_count = 2;
  EXPECT_THAT(damage(parts.file()), HasSubstr("bytes long"));
  parts = good();
  FileParts::put_text(parts.values, "list");
  FileParts::put(parts.values, std::uint32_t{9});    // an array
  FileParts::put(parts.values, std::uint32_t{4});    // of u32
  FileParts::put(parts.values, UINT64_MAX / 4 + 2);  // whose size overflows
  parts.value_count = 2;
  EXPECT_THAT(damage(parts.file()), HasSubstr("reaches beyond the file"));
}

TEST(Gguf, ShapesThatCannotBe) {
  const auto with = [](std::initializer_list<std::uint64_t> dims, std::uint32_t type) {
    FileParts parts;
    parts.tensor("a", dims, type, 0);
    parts.data.assign(64, 'x');
    return parts.file();
  };
  EXPECT_THAT(damage(with({}, 0)), HasSubstr("0 dimensions"));
  EXPECT_THAT(damage(with({1, 1, 1, 1, 1}, 0)), HasSubstr("5 dimensions"));
  EXPECT_THAT(damage(with({0}, 0)), HasSubstr("dimension of 0"));
  EXPECT_THAT(damage(with({UINT64_MAX}, 0)), HasSubstr("dimension of"));
  EXPECT_THAT(damage(with({1ULL << 40, 1ULL << 40}, 0)), HasSubstr("dimension of"));
  EXPECT_THAT(damage(with({33}, 2)), HasSubstr("multiples of 32"));
  EXPECT_THAT(damage(with({17}, 0)), HasSubstr("beyond the file"));
}

TEST(Gguf, TensorsThatOverlapOrLieAskew) {
  FileParts parts = good();
  parts.tensor("c", {8}, 0, 0);
  EXPECT_THAT(damage(parts.file()), HasSubstr("overlap"));
  parts = good();
  parts.tensor("c", {1}, 0, 4);
  EXPECT_THAT(damage(parts.file()), HasSubstr("no multiple of 32"));
  parts = good();
  parts.tensor("c", {1}, 0, UINT64_MAX - 31);
  EXPECT_THAT(damage(parts.file()), HasSubstr("beyond the file"));
  parts = good();
  parts.tensor("a", {1}, 0, 0);
  EXPECT_THAT(damage(parts.file()), HasSubstr("twice"));
  parts = good();
  EXPECT_THAT(damage(parts.u32("general.file_type", 3).file()), HasSubstr("twice"));
  parts = good();
  EXPECT_THAT(damage(parts.u32("general.alignment", 24).file()), HasSubstr("alignment"));
}

TEST(Gguf, WhatPareDoesNotReadIsNamed) {
  EXPECT_THAT(PARE_ERROR_TEXT(feature_not_supported, parse(good().file(2))),
              HasSubstr("version 2"));
  EXPECT_THAT(PARE_ERROR_TEXT(feature_not_supported, parse(good().file(0x03000000))),
              HasSubstr("big-endian"));
  FileParts parts;
  parts.tensor("a", {256}, 99, 0);
  EXPECT_THAT(PARE_ERROR_TEXT(feature_not_supported, parse(parts.file())), HasSubstr("type 99"));
  EXPECT_THAT(damage("GGML" + good().file().substr(4)), HasSubstr("not a GGUF file"));
}

TEST(Gguf, BlocksThatPareDoesNotDecodeHaveNamesAndSizes) {
  // Two rows of 512: two blocks of 256 each, 144 bytes of Q4_K and 210 of Q6_K.
  FileParts parts;
  parts.tensor("a", {512, 2}, 12, 0).tensor("b", {512, 2}, 14, 576);
  parts.data = std::string(576 + 840, '\0');
  const std::string file = parts.file();
  const GgufHeader header = parse(file);
  EXPECT_EQ(header.tensors[0].block->name, "Q4_K");
  EXPECT_EQ(header.tensors[0].size, 576U);
  EXPECT_EQ(header.tensors[1].block->name, "Q6_K");
  EXPECT_EQ(header.tensors[1].size, 840U);
  EXPECT_FALSE(header.tensors[0].block->decoded);
  EXPECT_TRUE(gguf_block(GgufType::q8_0).decoded);
  EXPECT_THAT(damage(file.substr(0, file.size() - 1)), HasSubstr("beyond the file"));
}

}  // namespace
}  // namespace pare::containers
