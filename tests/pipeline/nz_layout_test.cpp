// NZ order: blocks of 16 x 32, worked out by hand.
#include "pipeline/pack/nz_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace pare::pipeline {
namespace {

std::vector<std::byte> numbered(std::int64_t count) {
  std::vector<std::byte> bytes;
  for (std::int64_t i = 0; i < count; ++i)
    bytes.push_back(static_cast<std::byte>(i % 251 + 1));
  return bytes;
}

TEST(NzLayout, ASmallMatrixFillsTheCornerOfOneBlock) {
  const Context ctx(2);
  const std::vector<std::byte> nz = to_nz(ctx, numbered(6), 2, 3, false);  // [[1,2,3],[4,5,6]]
  ASSERT_EQ(nz.size(), 512U);
  std::vector<std::byte> expected(512, std::byte{0});
  for (const auto& [at, value] : {std::pair{0, 1}, {1, 2}, {2, 3}, {32, 4}, {33, 5}, {34, 6}}) {
    expected[static_cast<std::size_t>(at)] = static_cast<std::byte>(value);
  }
  EXPECT_EQ(nz, expected);
}

/// Element (r, c) lies in block (c / 32, r / 16) at (r % 16, c % 32).
TEST(NzLayout, BlocksOfColumnsComeFirstThenBlocksOfRows) {
  const Context ctx(2);
  const std::int64_t rows = 35;
  const std::int64_t columns = 70;
  const std::vector<std::byte> matrix = numbered(rows * columns);
  const std::vector<std::byte> nz = to_nz(ctx, matrix, rows, columns, false);
  ASSERT_EQ(nz.size(), 3U * 3 * 512);  // 70 columns are 3 blocks, 35 rows are 3
  std::size_t used = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t at = ((c / 32) * 3 + r / 16) * 512 + r % 16 * 32 + c % 32;
      ASSERT_EQ(nz[static_cast<std::size_t>(at)],
                matrix[static_cast<std::size_t>(r * columns + c)]);
      ++used;
    }
  }
  const auto zeros = std::count(nz.begin(), nz.end(), std::byte{0});
  EXPECT_EQ(static_cast<std::size_t>(zeros), nz.size() - used);
}

TEST(NzLayout, TransposedIsTheLayoutOfTheTransposedMatrix) {
  const Context ctx(2);
  const std::vector<std::byte> matrix = numbered(20 * 45);
  std::vector<std::byte> turned(matrix.size());
  for (std::size_t r = 0; r < 20; ++r) {
    for (std::size_t c = 0; c < 45; ++c)
      turned[c * 20 + r] = matrix[r * 45 + c];
  }
  EXPECT_EQ(to_nz(ctx, matrix, 45, 20, true), to_nz(ctx, turned, 45, 20, false));
}

}  // namespace
}  // namespace pare::pipeline
