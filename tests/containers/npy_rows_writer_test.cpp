// The row-by-row npy writer: its bytes, and that a failed one leaves nothing.
#include "containers/npy/rows_writer.h"
#include "pare/error.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

namespace pare::containers {
namespace {

class NpyRows : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("pare_npy_rows_") + test->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string content() const {
    std::ifstream in(file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path file() const { return folder_ / "a.npy"; }
  bool empty() const { return std::filesystem::is_empty(folder_); }

  const Context ctx_{1};
  std::filesystem::path folder_;
};

TEST_F(NpyRows, WritesHeaderAndRows) {
  std::vector<float> values = {1, 2, 99, 3, 4, 99, 5, 6, 99};  // a stride of 3, two columns used
  NpyRowsWriter writer(ctx_, file(), 3, 2);
  writer.write({values.data(), 1, 2, 3});
  writer.write({values.data() + 3, 2, 2, 3});
  EXPECT_FALSE(std::filesystem::exists(file()));
  writer.finish();
  const std::string bytes = content();
  ASSERT_EQ(bytes.size(), 128U + 24U);  // the header is a multiple of 64
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, 59), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }");
  EXPECT_EQ(bytes[127], '\n');
  float rows[6];
  std::memcpy(rows, bytes.data() + 128, sizeof rows);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(rows[i], static_cast<float>(i + 1));
}

TEST_F(NpyRows, AnUnfinishedFileDisappears) {
  {
    std::vector<float> row = {1, 2};
    NpyRowsWriter writer(ctx_, file(), 3, 2);
    writer.write({row.data(), 1, 2});
    EXPECT_THROW(writer.finish(), Error);  // two rows are missing
    EXPECT_FALSE(empty());
  }
  EXPECT_TRUE(empty());
}

TEST_F(NpyRows, RowsThatDoNotFitAreRefused) {
  std::vector<float> row = {1, 2, 3};
  NpyRowsWriter writer(ctx_, file(), 1, 2);
  EXPECT_THROW(writer.write({row.data(), 1, 3}), Error);
  writer.write({row.data(), 1, 2});
  EXPECT_THROW(writer.write({row.data(), 1, 2}), Error);
}

TEST_F(NpyRows, AFolderInTheWayIsAnError) {
  EXPECT_THROW(NpyRowsWriter(ctx_, folder_, 1, 1), Error);
  EXPECT_THROW(NpyRowsWriter(ctx_, folder_ / "no" / "a.npy", 1, 1), Error);
  EXPECT_TRUE(empty());
}

TEST_F(NpyRows, ADeviceIsNeverReplaced) {
  EXPECT_THROW(NpyRowsWriter(ctx_, "/dev/null", 1, 1), Error);
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

}  // namespace
}  // namespace pare::containers
