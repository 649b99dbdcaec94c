// Words of codes in grids that are larger than the blocks they are packed in, against the definition.
#include "layouts/hf/bit_words.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <vector>

namespace pare::layout {
namespace {

constexpr std::int64_t kRows = 1100;    // two whole blocks of lines and a part of one
constexpr std::int64_t kColumns = 139;  // one whole block of words, and a word that is not full

/// Bits, order of the codes in a word, and whether the codes of a column lie side by side.
using Case = std::tuple<int, WordOrder, bool>;

class PackingWords : public ::testing::TestWithParam<Case> {
 protected:
  PackingWords() : codes_(kRows * kColumns) {
    const int bits = std::get<0>(GetParam());
    for (std::size_t i = 0; i < codes_.size(); ++i) {
      const auto mixed = static_cast<std::uint32_t>(i) * 2654435761U;
      const int levels = 1 << bits;
      codes_[i] = static_cast<std::int8_t>(static_cast<int>(mixed >> 24) % levels - levels / 2);
    }
  }

  template <typename T>
  StridedCodes<T> grid(T* data) const {
    const bool down = std::get<2>(GetParam());
    return {data, kRows, kColumns, down ? 1 : kColumns, down ? kRows : 1};
  }

  /// The word that holds column `first` and those behind it, from the meaning of a field.
  std::uint32_t expected(std::int64_t row, std::int64_t first) const {
    constexpr std::array<std::int64_t, 8> kAwq = {0, 2, 4, 6, 1, 3, 5, 7};
    const auto [bits, order, down] = GetParam();
    const StridedCodes<const std::int8_t> all = grid(codes_.data());
    std::uint32_t word = 0;
    for (std::int64_t field = 0; field < 32 / bits; ++field) {
      const std::int64_t j = order == WordOrder::awq ? kAwq[static_cast<std::size_t>(field)] : field;
      if (first + j >= kColumns) continue;
      const int code = all.data[row * all.row_step + (first + j) * all.column_step];
      word |= static_cast<std::uint32_t>(code + (1 << (bits - 1))) << (field * bits);
    }
    return word;
  }

  std::vector<std::int8_t> codes_;
};

TEST_P(PackingWords, EveryFieldIsWhereTheDefinitionPutsIt) {
  const auto [bits, order, down] = GetParam();
  const Tensor packed = pack_along_rows(grid(std::as_const(codes_).data()), bits, order);
  const std::int64_t words = words_for(kColumns, bits);
  ASSERT_EQ(packed.shape(), (Shape{kRows, words}));
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t w = 0; w < words; ++w) {
      std::uint32_t found = 0;
      std::memcpy(&found, packed.view().data.data() + (row * words + w) * 4, 4);
      ASSERT_EQ(found, expected(row, w * (32 / bits))) << "row " << row << ", word " << w;
    }
  }
}

TEST_P(PackingWords, UnpackingGivesTheCodesBack) {
  const auto [bits, order, down] = GetParam();
  const Tensor packed = pack_along_rows(grid(std::as_const(codes_).data()), bits, order);
  std::vector<std::int8_t> back(codes_.size(), 99);
  unpack_along_rows(packed.view().data, bits, order, grid(back.data()));
  EXPECT_EQ(back, codes_);
}

INSTANTIATE_TEST_SUITE_P(Grids, PackingWords,
                         ::testing::Values(Case{4, WordOrder::natural, false},
                                           Case{4, WordOrder::natural, true},
                                           Case{4, WordOrder::awq, false},
                                           Case{4, WordOrder::awq, true},
                                           Case{8, WordOrder::natural, false},
                                           Case{8, WordOrder::natural, true}));

}  // namespace
}  // namespace pare::layout
