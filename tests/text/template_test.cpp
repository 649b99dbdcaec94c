#include "text/datasets/template.h"

#include "text/support.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::contains;
using testing::error_of;

std::string fill(std::string_view source, std::string_view record) {
  return Template(source).fill(io::Json::parse(record), "f.jsonl:3");
}

TEST(Template, FieldsBracesAndEscapes) {
  EXPECT_EQ(fill("{a}-{b}{a}", R"({"a":"x","b":"{y}"})"), "x-{y}x");
  EXPECT_EQ(fill("{{{a}}}", R"({"a":"x"})"), "{x}");
  EXPECT_EQ(fill("a}b", "{}"), "a}b");
  EXPECT_EQ(fill("{a}\\nQ\\t\\\\n\\x", R"({"a":1})"), "1\nQ\t\\n\\x");
  EXPECT_EQ(fill("{n}{t}{z}", R"({"n":1.5,"t":true,"z":null})"), "1.5true");
}

TEST(Template, AMissingFieldNamesFieldLineAndWhatThereIs) {
  const Error error = error_of([] { fill("{passage}", R"({"text":"a","label":1})"); });
  EXPECT_EQ(error.code(), ErrorCode::template_field_missing);
  for (const char* part : {"passage", "f.jsonl:3", "text, label"}) {
    EXPECT_TRUE(contains(error.what(), part)) << error.what();
  }
}

TEST(Template, Refused) {
  EXPECT_EQ(error_of([] { Template("{a"); }).code(), ErrorCode::bad_option_value);
  EXPECT_EQ(error_of([] { Template("{}"); }).code(), ErrorCode::bad_option_value);
  EXPECT_EQ(error_of([] { fill("{a}", R"({"a":[1]})"); }).code(), ErrorCode::bad_dataset);
  EXPECT_EQ(error_of([] { fill("{a}", "\"text\""); }).code(), ErrorCode::template_field_missing);
}

}  // namespace
}  // namespace pare::text
