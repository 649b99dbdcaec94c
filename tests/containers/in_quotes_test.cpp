// What of a file's names reaches the terminal.
#include "containers/in_quotes.h"

#include <gtest/gtest.h>

#include <string>

namespace pare::containers {
namespace {

TEST(IsUtf8, WellFormedOnly) {
  for (const char* text :
       {"", "a", "é", "€", "\xF0\x9F\x98\x80", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(text)) << text;
  for (const char* text :
       {"\x80", "\xC3", "\xC3(", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "a\xE2\x82"}) {
    EXPECT_FALSE(is_utf8(text));
  }
}

TEST(InQuotes, MakesTextHarmless) {
  EXPECT_EQ(in_quotes("model.wé"), "\"model.wé\"");
  EXPECT_EQ(in_quotes("\x1B[2J\n"), "\"\\x1B[2J\\x0A\"");
  EXPECT_EQ(in_quotes(std::string_view("a\0b", 3)), "\"a\\x00b\"");
  EXPECT_EQ(in_quotes("\xC3(é"), "\"\\xC3(\\xC3\\xA9\"");
}

TEST(InQuotes, CutsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += "€";
  const std::string shown = in_quotes(text);
  EXPECT_LT(shown.size(), 130U);
  EXPECT_TRUE(is_utf8(shown));
  EXPECT_TRUE(shown.ends_with("…\""));
}

}  // namespace
}  // namespace pare::containers
