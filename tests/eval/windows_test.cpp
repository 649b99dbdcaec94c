// How protocols cut a text.
#include "eval/perplexity.h"
#include "pare/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pare::eval {
namespace {

using ::testing::ElementsAre;

const std::vector<text::TokenId> kTokens = {9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& failure) {
    return failure.code();
  }
  return ErrorCode::internal;
}

TEST(Protocols, AreFoundByName) {
  EXPECT_EQ(find_protocol("gptq").id, "gptq");
  EXPECT_EQ(find_protocol("llamacpp").default_context, 512);
  EXPECT_EQ(code_of([] { find_protocol("gtpq"); }), ErrorCode::unknown_entry);
}

TEST(Windows, GptqLeavesTokensAloneAndDropsTheTail) {
  const Windows w = make_windows(kTokens, find_protocol("gptq"), 4, 1, 0);
  ASSERT_EQ(w.ids.size(), 2U);
  EXPECT_THAT(w.ids[0], ElementsAre(9, 11, 12, 13));
  EXPECT_THAT(w.ids[1], ElementsAre(14, 15, 16, 17));
  EXPECT_EQ(w.first_target, 1);
}

TEST(Windows, LlamaCppPutsBosFirstAndScoresTheSecondHalf) {
  const Windows w = make_windows(kTokens, find_protocol("llamacpp"), 4, 1, 0);
  ASSERT_EQ(w.ids.size(), 2U);
  EXPECT_THAT(w.ids[0], ElementsAre(1, 11, 12, 13));
  EXPECT_THAT(w.ids[1], ElementsAre(1, 15, 16, 17));
  // Logits of position 2 alone are scored; they predict token 3.
  EXPECT_EQ(w.first_target, 3);
}

TEST(Windows, LlamaCppKeepsTheFirstTokenWithoutBos) {
  const Windows w = make_windows(kTokens, find_protocol("llamacpp"), 5, -1, 0);
  EXPECT_THAT(w.ids[1], ElementsAre(15, 16, 17, 18, 19));
  EXPECT_EQ(w.first_target, 3);  // 5 / 2 + 1
}

TEST(Windows, CanBeLimited) {
  EXPECT_EQ(make_windows(kTokens, find_protocol("gptq"), 2, 1, 3).ids.size(), 3U);
  EXPECT_EQ(make_windows(kTokens, find_protocol("gptq"), 2, 1, 99).ids.size(), 5U);
}

TEST(Windows, ATextShorterThanOneIsRefused) {
  EXPECT_EQ(make_windows(kTokens, find_protocol("gptq"), 11, 1, 0).ids.size(), 1U);
  EXPECT_EQ(code_of([] { make_windows(kTokens, find_protocol("gptq"), 12, 1, 0); }),
            ErrorCode::bad_dataset);
  EXPECT_EQ(code_of([] { make_windows({}, find_protocol("gptq"), 2, 1, 0); }),
            ErrorCode::bad_dataset);
}

TEST(Windows, AContextThatScoresNothingIsRefused) {
  EXPECT_EQ(code_of([] { make_windows(kTokens, find_protocol("gptq"), 1, 1, 0); }),
            ErrorCode::bad_option_value);
  EXPECT_EQ(code_of([] { make_windows(kTokens, find_protocol("llamacpp"), 2, 1, 0); }),
            ErrorCode::bad_option_value);
}

}  // namespace
}  // namespace pare::eval
