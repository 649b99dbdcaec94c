#include "text/unicode/regex.h"

#include "text/json/pre_tokenizer.h"
#include "text/support.h"
#include "text/unicode/regex_dialect.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::contains;
using testing::error_of;

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  std::vector<std::string> found;
  for (const Span& span : Regex(pattern).find_all(text)) {
    found.emplace_back(text.substr(span.begin, span.end - span.begin));
  }
  return found;
}

using Strings = std::vector<std::string>;

TEST(Regex, FindsFromLeftToRight) {
  EXPECT_EQ(matches("a+|b", "aabxa"), (Strings{"aa", "b", "a"}));
  EXPECT_EQ(matches("x", ""), Strings{});
}

TEST(Regex, EmptyMatchRightBehindAMatchDoesNotCount) {
  // At 0 "a"; at 1 nothing but right behind a match; at 2 (past "b") the empty end.
  EXPECT_EQ(Regex("a*").find_all("ab"), (std::vector<Span>{{0, 1}, {2, 2}}));
}

TEST(Regex, ClassesAreOnigurumasNotPcres) {
  EXPECT_EQ(matches("\\s", "\u180e\u0085\u3000 "), (Strings{"\u0085", "\u3000", " "}));
  EXPECT_EQ(matches("[^\\S\\n]", "a \n"), Strings{" "});
  EXPECT_EQ(matches("\\w+", "e\u0301\u203fb-c"), (Strings{"e\u0301\u203fb", "c"}));
  EXPECT_EQ(matches("\\h+", "xyz12aF"), Strings{"12aF"});
  EXPECT_EQ(matches("\\u4e2d", "\u4e2d"), Strings{"\u4e2d"});
  EXPECT_EQ(matches("\\p{L}+", "a\U0002ebf0"), Strings{"a\U0002ebf0"});    // Unicode 15.1
  EXPECT_EQ(matches("[\\p{N}]+", "1\U00016130"), Strings{"1\U00016130"});  // Unicode 16
  EXPECT_EQ(matches("\\P{L}", "a\U0002ebf0-"), Strings{"-"});
}

TEST(Regex, CaseIsFoldedAsUnicodeDoes) {
  EXPECT_EQ(matches("(?i:'s)", "'s'S'\u017f"), (Strings{"'s", "'S", "'\u017f"}));
}

TEST(Regex, AnIntervalWithPlusIsRepeatedNotPossessive) {
  EXPECT_EQ(matches("\\p{N}{1,3}+", "1234567"), Strings{"1234567"});
  EXPECT_EQ(matches("\\p{N}{1,3}", "1234567"), (Strings{"123", "456", "7"}));
  EXPECT_EQ(to_pcre2_pattern("(ab){2,3}+"), "(?:(ab){2,3})+");
  EXPECT_EQ(to_pcre2_pattern("a{,2}"), "a{0,2}");
}

TEST(Regex, Gpt2PatternSplitsSpacesBeforeAWord) {
  EXPECT_EQ(matches(kGpt2Pattern, "a   b"), (Strings{"a", "  ", " b"}));
  EXPECT_EQ(matches(kGpt2Pattern, "I'll go 42!\n"), (Strings{"I", "'ll", " go", " 42", "!", "\n"}));
}

TEST(Regex, Qwen2PatternTakesDigitsOneByOne) {
  EXPECT_EQ(matches(kQwen2Pattern, "x12 \r\n y"), (Strings{"x", "1", "2", " \r\n", " y"}));
}

TEST(Regex, SyntaxOfAnotherMeaningIsRefused) {
  for (const char* pattern : {"[a&&b]", "[a[b]]", "(a)\\1", "\\K", "a(?i)b", "(?~a)", "a{2}?"}) {
    const Error error = error_of([&] { Regex{pattern}; });
    EXPECT_EQ(error.code(), ErrorCode::tokenizer_not_supported) << pattern;
    EXPECT_TRUE(contains(error.detail(), pattern)) << error.detail();
  }
}

TEST(Regex, DamagedPatternsAreErrors) {
  for (const char* pattern :
       {"[a", "(a", "a)", "\\", "\\p{", "\\p{Nonsense}", "*", "\\u12", "(?", "(?i"}) {
    EXPECT_EQ(error_of([&] { Regex{pattern}; }).code(), ErrorCode::bad_tokenizer) << pattern;
  }
}

TEST(Regex, EffortIsBounded) {
  const Regex hostile("(?:a|a)*[bc]");
  const std::string text(200, 'a');
  EXPECT_EQ(error_of([&] { hostile.find_all(text); }).code(), ErrorCode::bad_tokenizer);
}

TEST(Regex, LongRunsOfSpacesAreNoProblem) {
  const std::string spaces(3'000'000, ' ');
  EXPECT_EQ(Regex(kQwen2Pattern).find_all(spaces).size(), 1U);
}

TEST(Pattern, LiteralIsTakenLiterally) {
  const Pattern dot(std::string("."));
  EXPECT_EQ(dot.replace_all("a.b..", "-"), "a-b--");
  const io::Json json = io::Json::parse(R"({"Regex": "b+"})");
  EXPECT_EQ(Pattern(JsonNode(json, "p")).replace_all("abbc", "$0"), "a$0c");
}

}  // namespace
}  // namespace pare::text
