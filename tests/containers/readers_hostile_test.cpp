// Every reader against every truncation and every single-byte change of a small valid file: it must
// open it or throw pare::Error, nothing else. Run under the sanitizers this also finds stray reads.
#include "containers/safetensors_files.h"
#include "containers/tensor_source.h"
#include "pare/error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace pare::containers {
namespace {

using pare::test::get_file;
using pare::test::TempDir;
using test::info_of;
using ::testing::HasSubstr;

/// Opens and touches every byte of every tensor; true when it opened.
bool try_open(const Reader& reader, const std::filesystem::path& path) {
  try {
    const auto source = reader.open(path);
    unsigned sum = 0;
    for (const TensorInfo& info : source->tensors()) {
      for (const std::byte byte : source->read(info.name).data)
        sum += std::to_integer<unsigned>(byte);
    }
    return sum != 1;  // uses the sum, so that the reads stay
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(path.string()));
    return false;
  }
}

class EveryReader : public ::testing::TestWithParam<const Reader*> {
 protected:
  void SetUp() override {
    test::write_counting({.folder = dir_.path(), .base_name = "model"},
                         {info_of("a.weight", DType::f32, {2, 3}), info_of("b", DType::i8, {5}),
                          info_of("c", DType::bf16, {})});
    valid_ = get_file(file());
    data_begin_ =
        8 + static_cast<unsigned char>(valid_[0]) + 256U * static_cast<unsigned char>(valid_[1]);
  }
  std::filesystem::path file() const { return dir_ / "model.safetensors"; }

  /// Changes one byte in place: making a new file for every try would take most of the time.
  void patch(std::size_t at, char byte) {
    if (!stream_.is_open()) stream_.open(file(), std::ios::in | std::ios::out | std::ios::binary);
    stream_.seekp(static_cast<std::streamoff>(at)).put(byte).flush();
    ASSERT_TRUE(stream_.good());
  }

  TempDir dir_;
  std::fstream stream_;
  std::string valid_;
  std::size_t data_begin_ = 0;
};

TEST_P(EveryReader, OpensTheValidFile) {
  if (!GetParam()->probe(file())) GTEST_SKIP() << "another container";
  EXPECT_TRUE(try_open(*GetParam(), file()));
}

TEST_P(EveryReader, RefusesEveryTruncation) {
  for (std::size_t size = valid_.size(); size-- > 0;) {
    std::filesystem::resize_file(file(), size);
    GetParam()->probe(file());
    EXPECT_FALSE(try_open(*GetParam(), file())) << size;
  }
}

TEST_P(EveryReader, SurvivesEveryByteFlip) {
  for (std::size_t at = 0; at < data_begin_; ++at) {
    for (const int flip : {0x01, 0x02, 0x10, 0x80}) {
      patch(at, static_cast<char>(valid_[at] ^ flip));
      GetParam()->probe(file());
      try_open(*GetParam(), file());
    }
    patch(at, valid_[at]);
  }
}

TEST_P(EveryReader, SurvivesEveryDigitAndBracket) {
  for (std::size_t at = 8; at < data_begin_; ++at) {
    for (const char byte : std::string("9-{]\",")) {
      patch(at, byte);
      try_open(*GetParam(), file());
    }
    patch(at, valid_[at]);
  }
}

TEST_P(EveryReader, RefusesOddPaths) {
  EXPECT_FALSE(GetParam()->probe(dir_ / "none"));
  EXPECT_FALSE(GetParam()->probe("/dev/null"));
  EXPECT_FALSE(try_open(*GetParam(), dir_ / "none"));
  EXPECT_FALSE(try_open(*GetParam(), "/dev/null"));
}

INSTANTIATE_TEST_SUITE_P(Readers, EveryReader,
                         ::testing::ValuesIn(readers().begin(), readers().end()),
                         [](const auto& reader) { return std::string(reader.param->id); });

}  // namespace
}  // namespace pare::containers
