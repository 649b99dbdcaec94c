#include "text/json/added_tokens.h"

#include "text/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::error_of;

AddedToken token(std::string content, TokenId id) {
  AddedToken made;
  made.content = std::move(content);
  made.id = id;
  return made;
}

// "text|#7|text": what is found, with the bytes that a token takes in brackets.
std::string split(const std::vector<AddedToken>& tokens, std::string_view text) {
  AddedTokenFinder finder;
  for (const AddedToken& t : tokens)
    finder.add(t, t.content);
  std::string out;
  for (const AddedTokenFinder::Part& part : finder.split(text)) {
    const std::string_view span = text.substr(part.span.begin, part.span.end - part.span.begin);
    out += out.empty() ? "" : "|";
    out += part.id ? fmt::format("#{}[{}]", *part.id, span) : std::string(span);
  }
  return out;
}

TEST(AddedTokens, LeftmostThenLongest) {
  const std::vector<AddedToken> tokens = {token("<a>", 1), token("<a><a>", 2), token("a><", 3)};
  EXPECT_EQ(split(tokens, "x<a>y"), "x|#1[<a>]|y");
  EXPECT_EQ(split(tokens, "<a><a><a>"), "#2[<a><a>]|#1[<a>]");
  EXPECT_EQ(split(tokens, "a><a>"), "#3[a><]|a>");
  EXPECT_EQ(split(tokens, ""), "");
  EXPECT_EQ(split({}, "plain"), "plain");
}

TEST(AddedTokens, SingleWordStandsAlone) {
  AddedToken whole = token("whole", 1);
  whole.single_word = true;
  EXPECT_EQ(split({whole}, "whole-whole"), "#1[whole]|-|#1[whole]");
  EXPECT_EQ(split({whole}, "wholes"), "wholes");
  EXPECT_EQ(split({whole}, "_whole"), "_whole");
  EXPECT_EQ(split({whole}, "éwhole whole\u0301"), "éwhole whole\u0301");
}

TEST(AddedTokens, WhiteSpaceIsTakenAlong) {
  AddedToken left = token("<l>", 1);
  left.lstrip = true;
  AddedToken right = token("<r>", 2);
  right.rstrip = true;
  EXPECT_EQ(split({left, right}, "a \u3000<l> b"), "a|#1[ \u3000<l>]| b");
  EXPECT_EQ(split({left, right}, "a <r> \n b"), "a |#2[<r> \n ]|b");
  EXPECT_EQ(split({left, right}, "<r>  <l>"), "#2[<r>  ]|#1[<l>]");  // taken once only
}

TEST(AddedTokens, FlagsFromJson) {
  const io::Json json = io::Json::parse(R"({"content":"<m>","lstrip":true,"special":true})");
  const AddedToken read = read_added_token(JsonNode(json, "t"), 9);
  EXPECT_EQ(read.content, "<m>");
  EXPECT_EQ(read.id, 9);
  EXPECT_TRUE(read.lstrip && read.special && !read.rstrip && !read.single_word && !read.normalized);
  for (const char* bad : {"[]", "{}", R"({"content":1})", R"({"content":"a","lstrip":1})"}) {
    const io::Json value = io::Json::parse(bad);
    EXPECT_EQ(error_of([&] { read_added_token(JsonNode(value, "t"), 1); }).code(),
              ErrorCode::bad_tokenizer)
        << bad;
  }
  EXPECT_EQ(error_of([&] { read_added_token(JsonNode(json, "t"), 1LL << 40); }).code(),
            ErrorCode::bad_tokenizer);
}

TEST(AddedTokens, AnEndlessTokenIsRefused) {
  AddedTokenFinder finder;
  const AddedToken huge = token(std::string(5000, 'a'), 1);
  EXPECT_EQ(error_of([&] { finder.add(huge, huge.content); }).code(), ErrorCode::bad_tokenizer);
}

}  // namespace
}  // namespace pare::text
