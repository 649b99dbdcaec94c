// Reading the text of an evaluation.
#include "eval/text_file.h"

#include "pare/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace pare::eval {
namespace {

class TextFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        std::filesystem::path(::testing::TempDir()) / (std::string("pare_eval_") + test->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(TextFile, APlainFileIsItsBytes) {
  EXPECT_EQ(read_eval_text(write("a.raw", " = Title = \r\n\nx\n")), " = Title = \r\n\nx\n");
}

TEST_F(TextFile, JsonLinesAreJoinedByAnEmptyLine) {
  EXPECT_EQ(read_eval_text(write("a.jsonl",
                                 "{\"text\":\"\"}\n\n{\"text\":\"a\\n\",\"id\":3}\r\n"
                                 "{\"text\":\"b\"}")),
            "\n\na\n\n\nb");
}

TEST_F(TextFile, ALineWithoutTextIsNamed) {
  for (const char* bad : {"{\"texts\":\"a\"}", "[1]", "{\"text\":3}"}) {
    try {
      read_eval_text(write("a.jsonl", std::string("{\"text\":\"x\"}\n") + bad));
      FAIL() << bad;
    } catch (const Error& failure) {
      EXPECT_EQ(failure.code(), ErrorCode::bad_dataset);
      EXPECT_THAT(failure.what(), ::testing::HasSubstr("a.jsonl:2"));
    }
  }
}

TEST_F(TextFile, TheIdentityIsTheHashOfTheIds) {
  // sha256 of the i32 values 1, 300 and -1, little endian, as Python's hashlib gives it.
  const std::vector<text::TokenId> ids = {1, 300};
  EXPECT_EQ(ids_sha256(ids), "e86dc04f402108ef6716049a3cf9d4a37d0380c2b12a7636857b5eca38da292f");
}

}  // namespace
}  // namespace pare::eval
