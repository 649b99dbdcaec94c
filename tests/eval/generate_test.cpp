// Choosing tokens, streaming their text, and generating with a tiny model.
#include "eval/generate.h"

#include "eval/sampler.h"
#include "eval/text_stream.h"
#include "eval/tiny_model.h"
#include "pare/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pare::eval {
namespace {

using ::testing::ElementsAre;
using testing::LetterTokenizer;
using testing::TinyModel;

TEST(Sampler, GreedyTakesTheFirstMaximum) {
  Rng rng(1);
  EXPECT_EQ(choose_token(std::vector<float>{0, 3, 1, 3}, {}, rng), 1);
  EXPECT_EQ(rng.next(), Rng(1).next()) << "greedy choice used a random number";
}

TEST(Sampler, DrawsAsOftenAsTheModelSays) {
  Rng rng(5);
  const std::vector<float> logits = {0, std::log(3.0F)};  // 1/4 and 3/4
  int second = 0;
  for (int i = 0; i < 4000; ++i)
    second += choose_token(logits, {.temperature = 1}, rng);
  EXPECT_NEAR(second / 4000.0, 0.75, 0.03);  // four standard deviations
}

TEST(Sampler, TemperatureFlattens) {
  Rng rng(5);
  const std::vector<float> logits = {0, std::log(9.0F)};  // at temperature 2: 1/4 and 3/4
  int second = 0;
  for (int i = 0; i < 4000; ++i)
    second += choose_token(logits, {.temperature = 2}, rng);
  EXPECT_NEAR(second / 4000.0, 0.75, 0.03);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  // 0.5, 0.3, 0.2: 0.7 needs the first two, 0.5 the first alone, 0 still leaves one.
  const std::vector<float> logits = {std::log(0.5F), std::log(0.2F), std::log(0.3F)};
  Rng rng(3);
  int seen[3] = {};
  for (int i = 0; i < 500; ++i) {
    ++seen[choose_token(logits, {.temperature = 1, .top_p = 0.7}, rng)];
    EXPECT_EQ(choose_token(logits, {.temperature = 1, .top_p = 0.45}, rng), 0);
    EXPECT_EQ(choose_token(logits, {.temperature = 1, .top_p = 0}, rng), 0);
  }
  EXPECT_GT(seen[0], 0);
  EXPECT_EQ(seen[1], 0);
  EXPECT_GT(seen[2], 0);
}

TEST(Sampler, RefusesNan) {
  Rng rng(1);
  const std::vector<float> logits = {0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THROW(choose_token(logits, {}, rng), Error);
}

/// Ids are bytes; like SentencePiece, the blank before the first word of a text is left out.
class ByteTokenizer final : public text::Tokenizer {
 public:
  std::vector<text::TokenId> encode(std::string_view text) const override {
    return encode_plain(text);
  }
  std::vector<text::TokenId> encode_plain(std::string_view text) const override {
    std::vector<text::TokenId> ids;
    for (const char c : text)
      ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const text::TokenId> ids) const override {
    std::string text;
    for (std::size_t i = 0; i < ids.size();) {
      const std::size_t length = ids[i] < 0x80 ? 1 : ids[i] >= 0xF0 ? 4 : ids[i] >= 0xE0 ? 3 : 2;
      if (ids[i] >= 0xC0 || length == 1) {
        if (i + length > ids.size()) return text + "\xEF\xBF\xBD";
        for (std::size_t k = 0; k < length; ++k)
          text += static_cast<char>(ids[i + k]);
        i += length;
      } else {
        text += "\xEF\xBF\xBD";
        ++i;
      }
    }
    return text.starts_with(' ') ? text.substr(1) : text;
  }
  std::string piece(text::TokenId) const override { return ""; }
  std::int64_t vocab_size() const noexcept override { return 256; }
  text::TokenId bos_id() const noexcept override { return -1; }
  text::TokenId eos_id() const noexcept override { return -1; }
  bool adds_bos() const noexcept override { return false; }
};

std::vector<std::string> streamed(std::string_view prompt, std::string_view text) {
  const ByteTokenizer tokenizer;
  TextStream stream(tokenizer, tokenizer.encode(prompt));
  std::vector<std::string> pieces;
  for (const text::TokenId id : tokenizer.encode(text))
    pieces.push_back(stream.add(id));
  pieces.push_back(stream.finish());
  return pieces;
}

TEST(TextStream, HandsOutWholeCharactersOnly) {
  EXPECT_THAT(streamed("p", "a\xC3\xA9z"), ElementsAre("a", "", "\xC3\xA9", "z", ""));
  EXPECT_THAT(streamed("p", "\xF0\x9F\x98\x80!"),
              ElementsAre("", "", "", "\xF0\x9F\x98\x80", "!", ""));
}

TEST(TextStream, KeepsTheBlankBehindThePrompt) {
  EXPECT_THAT(streamed("p", " a"), ElementsAre(" ", "a", ""));
  EXPECT_THAT(streamed("", " a"), ElementsAre("", "a", ""));
}

TEST(TextStream, AnUnfinishedCharacterEndsAsReplacement) {
  EXPECT_THAT(streamed("p", "a\xE2\x82"), ElementsAre("a", "", "", "\xEF\xBF\xBD"));
}

TEST(TextStream, GivesTheWholeTextOfALongRun) {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += i % 3 == 0 ? "\xE2\x82\xAC " : "ab ";
  std::string joined;
  for (const std::string& piece : streamed("long prompt, longer than what is kept", text)) {
    joined += piece;
  }
  EXPECT_EQ(joined, text);
}

Generated run(int threads, const GenerateOptions& options, text::TokenId eos = -1,
              std::string_view prompt = "abc") {
  const TinyModel tiny;
  LetterTokenizer tokenizer;
  tokenizer.eos = eos;
  std::string streamed;
  const Generated result = generate(Context(threads), tiny.model(), tokenizer, prompt, options,
                                    [&](std::string_view piece) { streamed += piece; });
  EXPECT_EQ(streamed, result.text);
  return result;
}

TEST(Generate, IsTheSameForAnyThreadsAndSeedsDiffer) {
  const GenerateOptions warm{.max_new_tokens = 20, .temperature = 1.5, .seed = 4};
  EXPECT_EQ(run(1, warm).text, run(3, warm).text);
  EXPECT_EQ(run(1, warm).new_tokens, 20);
  EXPECT_EQ(run(1, warm).prompt_tokens, 4);  // BOS and three letters
  GenerateOptions other = warm;
  other.seed = 5;
  EXPECT_NE(run(1, warm).text, run(1, other).text);
}

TEST(Generate, GreedyIsTheArgmaxOfFullForwardPasses) {
  const TinyModel tiny;
  const Generated result = run(2, {.max_new_tokens = 6});
  std::vector<text::TokenId> ids = {0, 0, 1, 2};
  std::string expected;
  for (int step = 0; step < 6; ++step) {
    const Context ctx(1);
    std::vector<float> last;
    std::vector<std::vector<text::TokenId>> one = {ids};
    model::Batch batch = model::embed(tiny.model(), one);
    model::forward_streamed(ctx, tiny.model(), {&batch, 1}, {});
    Matrix logits(batch.tokens(), testing::kVocabulary);
    model::Head(ctx, tiny.model()).logits(ctx, batch.hidden.view(), logits.view());
    const auto row = logits.view().row_span(batch.tokens() - 1);
    ids.push_back(
        static_cast<text::TokenId>(std::max_element(row.begin(), row.end()) - row.begin()));
    expected += static_cast<char>('a' + ids.back());
  }
  EXPECT_EQ(result.text, expected);
}

TEST(Generate, StopsAtEndOfSequence) {
  const std::string text = run(1, {.max_new_tokens = 6}).text;
  const auto eos = static_cast<text::TokenId>(text[2] - 'a');
  const Generated result = run(1, {.max_new_tokens = 6}, eos);
  EXPECT_TRUE(result.ended);
  EXPECT_EQ(result.text, text.substr(0, text.find(text[2])));
}

TEST(Generate, AnEmptyPromptStartsAtBos) {
  EXPECT_EQ(run(1, {.max_new_tokens = 3}, -1, "").prompt_tokens, 1);
}

}  // namespace
}  // namespace pare::eval
