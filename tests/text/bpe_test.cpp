#include "text/bpe/bpe.h"

#include "text/support.h"

#include <gtest/gtest.h>

#include <chrono>

namespace pare::text {
namespace {

using testing::error_of;
using Ids = std::vector<TokenId>;

Bpe make(const std::vector<std::string>& pieces,
         const std::vector<std::pair<std::string, std::string>>& merges, BpeOptions options = {}) {
  Vocabulary vocabulary;
  for (const std::string& piece : pieces)
    vocabulary.add(piece, vocabulary.size());
  MergeTable table;
  for (const auto& [left, right] : merges)
    table.add(vocabulary, left, right);
  return Bpe(std::move(vocabulary), std::move(table), std::move(options));
}

Ids encode(const Bpe& bpe, std::string_view word) {
  Ids ids;
  bpe.encode(word, ids);
  return ids;
}

TEST(Bpe, LowestRankFirstThenLeftmost) {
  // a=0 b=1 c=2 ab=3 bc=4 abc=5; rank 0: b c, rank 1: a b, rank 2: a bc
  const Bpe bpe = make({"a", "b", "c", "ab", "bc", "abc"}, {{"b", "c"}, {"a", "b"}, {"a", "bc"}});
  EXPECT_EQ(encode(bpe, "ab"), (Ids{3}));
  EXPECT_EQ(encode(bpe, "abc"), (Ids{5}));  // bc first, although ab stands further left
  EXPECT_EQ(encode(bpe, "abab"), (Ids{3, 3}));
  EXPECT_EQ(encode(bpe, "cab"), (Ids{2, 3}));
  EXPECT_EQ(encode(bpe, ""), Ids{});
}

TEST(Bpe, OverlappingPairsAreJoinedFromTheLeft) {
  const Bpe bpe = make({"a", "aa", "aaaa"}, {{"a", "a"}, {"aa", "aa"}});
  EXPECT_EQ(encode(bpe, "aaa"), (Ids{1, 0}));
  EXPECT_EQ(encode(bpe, "aaaaa"), (Ids{2, 0}));
}

TEST(Bpe, AStaleCandidateCountsWhenItStillGivesTheSamePiece) {
  // "ab"+"c" (rank 3) and "a"+"bc" (rank 2) both give abc. For "abc": bc has rank 1, ab rank 0.
  // ab is joined first; then (ab, c) gives abc.
  const Bpe bpe =
      make({"a", "b", "c", "ab", "bc", "abc"}, {{"a", "b"}, {"b", "c"}, {"a", "bc"}, {"ab", "c"}});
  EXPECT_EQ(encode(bpe, "abc"), (Ids{5}));
}

TEST(Bpe, UnknownCharacters) {
  const std::vector<std::string> pieces = {"<unk>", "a", "<0xC3>", "<0xA9>"};
  EXPECT_EQ(encode(make(pieces, {}), "axa"), (Ids{1, 1}));  // no unknown token: left out
  EXPECT_EQ(encode(make(pieces, {}, {.unknown = "<unk>"}), "axxa"), (Ids{1, 0, 0, 1}));
  EXPECT_EQ(encode(make(pieces, {}, {.unknown = "<unk>", .fuse_unknown = true}), "axxa"),
            (Ids{1, 0, 1}));
  const Bpe bytes = make(pieces, {}, {.unknown = "<unk>", .byte_fallback = true});
  EXPECT_EQ(encode(bytes, "a\u00e9"), (Ids{1, 2, 3}));
  EXPECT_EQ(encode(bytes, "\u00e8"), (Ids{0}));             // <0xA8> is missing: no byte is taken
  EXPECT_EQ(encode(bytes, "x\u00e9a"), (Ids{2, 3, 0, 1}));  // the reference lets bytes overtake
}

TEST(Bpe, IgnoreMergesTakesWholeWords) {
  const std::vector<std::string> pieces = {"a", "b", "ab"};
  EXPECT_EQ(encode(make(pieces, {}, {.ignore_merges = true}), "ab"), (Ids{2}));
  EXPECT_EQ(encode(make(pieces, {}), "ab"), (Ids{0, 1}));
}

TEST(Bpe, MergesMustNameKnownPieces) {
  EXPECT_EQ(error_of([] { make({"a", "b"}, {{"a", "b"}}); }).code(), ErrorCode::bad_tokenizer);
  EXPECT_EQ(error_of([] { make({"a", "ab"}, {{"a", "b"}}); }).code(), ErrorCode::bad_tokenizer);
  EXPECT_EQ(error_of([] { make({"a"}, {}, {.unknown = "<unk>"}); }).code(),
            ErrorCode::bad_tokenizer);
}

TEST(Bpe, AMillionCharactersInOneWordTakeNoQuadraticTime) {
  const Bpe bpe = make({"a", "b", "ab", "abab", "ba"}, {{"a", "b"}, {"ab", "ab"}, {"b", "a"}});
  std::string word;
  for (int i = 0; i < 500'000; ++i)
    word += "ab";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(encode(bpe, word).size(), 250'000U);
  // Quadratic time would be hours; the limit leaves room for sanitizers.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(Vocabulary, RefusesWhatCannotBe) {
  Vocabulary vocabulary;
  vocabulary.add("a", 3);
  vocabulary.add("a", 3);
  EXPECT_EQ(vocabulary.size(), 4);
  EXPECT_EQ(vocabulary.piece(2), nullptr);
  EXPECT_EQ(vocabulary.id_of("a"), 3);
  for (const auto& [piece, id] : std::vector<std::pair<std::string, std::int64_t>>{
           {"b", 3}, {"a", 4}, {"c", -1}, {"c", Vocabulary::kMaxIds}}) {
    EXPECT_EQ(error_of([&] { vocabulary.add(piece, id); }).code(), ErrorCode::bad_tokenizer)
        << piece << id;
  }
}

}  // namespace
}  // namespace pare::text
