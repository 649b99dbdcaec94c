// JSON from hostile text: what is accepted, what is refused, and where the error points.
#include "io/json.h"

#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>

namespace pare::io {
namespace {

using ::testing::HasSubstr;

TEST(Json, KeepsKeyOrderAndValues) {
  const Json json = parse_json(R"({"b":[1,-2,2.5,true,null,"é\n"],"a":{"c":{}}})", "f");
  EXPECT_EQ(json.dump(), R"({"b":[1,-2,2.5,true,null,"é\n"],"a":{"c":{}}})");
  EXPECT_EQ(json["b"][1].get<int>(), -2);
}

TEST(Json, TakesScalarsAtTheTop) {
  EXPECT_EQ(parse_json(" 7 ", "f").get<int>(), 7);
  EXPECT_TRUE(parse_json("null", "f").is_null());
}

TEST(Json, ErrorNamesLineAndColumn) {
  const std::string text =
      PARE_ERROR_TEXT(bad_json, parse_json("{\n  \"a\": 1,\n  \"b\": x\n}", "c.json"));
  EXPECT_THAT(text, HasSubstr("--> c.json:3:8"));
  EXPECT_THAT(text, HasSubstr("invalid literal"));
}

TEST(Json, RefusesDuplicateKeys) {
  const std::string text =
      PARE_ERROR_TEXT(bad_json, parse_json(R"({"a":1,"b":{"x":1,"y":2,"x":3}})", "f"));
  EXPECT_THAT(text, HasSubstr("\"x\" twice"));
  EXPECT_NO_THROW(parse_json(R"([{"x":1},{"x":2}])", "f"));
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\":1,}", "1 2", "{} {}", "nan", "-NaN", "{NaN:1}", "'a'", "\xEF\xBB",
        "// c\n1", "\"\xC3\x28\"", "1e999", "{1:2}", "[1", "\"a", "tru"}) {
    PARE_ERROR_TEXT(bad_json, parse_json(text, "f"));
  }
}

TEST(Json, RefusesBytesAfterNul) {
  const std::string text("{}\0{}", 5);
  EXPECT_THAT(PARE_ERROR_TEXT(bad_json, parse_json(text, "f")), HasSubstr("f:1:3"));
}

TEST(Json, LimitsDepth) {
  const auto nested = [](int n) {
    return std::string(static_cast<std::size_t>(n), '[') +
           std::string(static_cast<std::size_t>(n), ']');
  };
  EXPECT_NO_THROW(parse_json(nested(64), "f"));
  EXPECT_THAT(PARE_ERROR_TEXT(bad_json, parse_json(nested(65), "f")), HasSubstr("64 levels"));
  PARE_ERROR_TEXT(bad_json, parse_json(std::string(1'000'000, '['), "f"));
}

TEST(Json, LimitsSize) {
  JsonLimits limits;
  limits.max_bytes = 4;
  EXPECT_NO_THROW(parse_json("[10]", "f", limits));
  EXPECT_THAT(PARE_ERROR_TEXT(bad_json, parse_json("[100]", "f", limits)),
              HasSubstr("5 bytes, at most 4"));
}

TEST(Json, LongReasonsAreCutBetweenCharacters) {
  std::string text = "\"";
  for (int i = 0; i < 400; ++i)
    text += "é";
  text += "\n\"";
  EXPECT_LT(PARE_ERROR_TEXT(bad_json, parse_json(text, "f")).size(), 400U);
}

TEST(Json, LargeObjectsParseInLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i)
    text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":" + std::to_string(i);
  text += "}";
  const auto start = std::chrono::steady_clock::now();
  const Json json = parse_json(text, "f");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(json.size(), 200'000U);
  EXPECT_LT(took.count(), 10.0);  // a search for each key would take minutes
}

TEST(Json, ReadsFiles) {
  const test::TempDir dir;
  test::put_file(dir / "a.json", "[1,\n]");
  EXPECT_THAT(PARE_ERROR_TEXT(bad_json, read_json(dir / "a.json")), HasSubstr("a.json:2:1"));
  PARE_ERROR_TEXT(file_not_found, read_json(dir / "b.json"));
}

TEST(Json, ReadsTheNumbersThatOnlyPythonWrites) {
  const Json json = parse_json(R"([NaN, Infinity ,-Infinity,"NaN","\"Infinity",{"NaN":1}])", "f");
  EXPECT_TRUE(std::isnan(json[0].get<double>()));
  EXPECT_EQ(json[1].get<double>(), HUGE_VAL);
  EXPECT_EQ(json[2].get<double>(), -HUGE_VAL);
  EXPECT_EQ(json[3].get<std::string>(), "NaN");
  EXPECT_EQ(json[4].get<std::string>(), "\"Infinity");
  EXPECT_TRUE(parse_json("NaN", "f").is_number_float());
  EXPECT_EQ(json_text(parse_json("-Infinity", "f")), "-Infinity");
}

TEST(Json, PlacesBehindThemAreRight) {
  EXPECT_THAT(PARE_ERROR_TEXT(bad_json, parse_json("[-Infinity,\nNaN, x]", "f")),
              HasSubstr("--> f:2:6"));
  EXPECT_THAT(PARE_ERROR_TEXT(bad_json, parse_json("[NaN,{\"a\":1,\"a\":NaN}]", "f")),
              HasSubstr("\"a\" twice"));
}

TEST(Json, NumbersAreWrittenAsTheyWereSpelled) {
  const test::TempDir dir;
  const std::string text =
      "{\n  \"a\": [\n    1.50e-05,\n    NaN,\n    -Infinity,\n    -0.0,\n"
      "    123456789012345678901234567890\n  ],\n  \"b\": {},\n  \"c\": [],\n"
      "  \"d\": {\n    \"e\": [\n      null\n    ],\n    \"f\": -7\n  }\n}";
  test::put_file(dir / "a.json", text);
  EXPECT_EQ(json_text(read_json_as_spelled(dir / "a.json")), text);
}

TEST(Json, TextIsThatOfTheLibraryWhereThereIsNoSuchNumber) {
  const Json json = parse_json(R"({"b":[1,-2,2.5,1e-05,true,null,"é\n\u0001"],"a":{"c":{}}})", "f");
  EXPECT_EQ(json_text(json), json.dump(2));
}

}  // namespace
}  // namespace pare::io
