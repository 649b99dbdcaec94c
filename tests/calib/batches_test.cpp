// Sequences joined into batches.
#include "calib/batches.h"

#include <gtest/gtest.h>

namespace pare::calib {
namespace {

std::vector<std::int64_t> batch_tokens(const std::vector<std::size_t>& lengths) {
  text::Dataset data;
  for (const std::size_t length : lengths) data.sequences.emplace_back(length, 1);
  std::vector<std::int64_t> tokens;
  std::size_t next = 0;
  for (const BatchRange& range : batch_ranges(data)) {
    EXPECT_EQ(range.first, next);
    next += range.count;
    tokens.push_back(range.tokens);
  }
  EXPECT_EQ(next, lengths.size());
  return tokens;
}

TEST(Batches, WholeSequencesUpToTheLimit) {
  EXPECT_EQ(batch_tokens({1000, 1000, 48, 1}), (std::vector<std::int64_t>{2048, 1}));
  EXPECT_EQ(batch_tokens({5000, 3}), (std::vector<std::int64_t>{5000, 3}));
  EXPECT_EQ(batch_tokens({}), (std::vector<std::int64_t>{}));
}

}  // namespace
}  // namespace pare::calib
