// The form of errors, their kinds and exit codes, and the suggestions they make.
#include "pare/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace pare {
namespace {

TEST(Error, ReadsAsOneBlock) {
  const Error bare(ErrorCode::bad_json, "nothing there");
  EXPECT_STREQ(bare.what(), "error[E0203] JSON not readable: nothing there");

  const Error full = Error(ErrorCode::pattern_matches_nothing, "\"model.layer.*\"")
                         .at("recipe.yaml:14")
                         .at("plan")
                         .hint("did you mean \"model.layers.*\"?");
  EXPECT_STREQ(full.what(),
               "error[E0312] pattern matched nothing: \"model.layer.*\"\n"
               "  --> recipe.yaml:14\n"
               "  --> plan\n"
               "  did you mean \"model.layers.*\"?");
  EXPECT_EQ(full.code(), ErrorCode::pattern_matches_nothing);
  EXPECT_THAT(full.where(), ::testing::ElementsAre("recipe.yaml:14", "plan"));
}

TEST(Error, CallersAddWhereTheyWere) {
  std::string text;
  try {
    try {
      throw Error(ErrorCode::not_finite, "NaN at 3");
    } catch (Error& error) {
      throw error.at("tensor w");
    }
  } catch (const std::exception& error) {
    text = error.what();
  }
  EXPECT_EQ(text, "error[E0501] NaN or infinity in a tensor: NaN at 3\n  --> tensor w");
}

TEST(Error, ExitCodes) {
  EXPECT_EQ(exit_code_of(ErrorKind::usage), 2);
  EXPECT_EQ(exit_code_of(ErrorKind::not_found), 3);
  EXPECT_EQ(exit_code_of(ErrorKind::io), 3);
  EXPECT_EQ(exit_code_of(ErrorKind::bad_format), 3);
  EXPECT_EQ(exit_code_of(ErrorKind::unsupported), 4);
  EXPECT_EQ(exit_code_of(ErrorKind::numeric), 5);
  EXPECT_EQ(exit_code_of(ErrorKind::quality), 6);
  EXPECT_EQ(exit_code_of(ErrorKind::cancelled), 130);
  EXPECT_EQ(exit_code_of(ErrorKind::internal), 70);
  EXPECT_EQ(exit_code_of(kind_of(ErrorCode::interrupted)), 130);
}

TEST(Error, EveryCodeHasItsOwnNumberAndATitle) {
  const std::vector<ErrorCode> codes = {
#define PARE_ERROR(name, number, kind, title) ErrorCode::name,
#include "pare/errors.def"
#undef PARE_ERROR
  };
  std::set<int> numbers;
  for (const ErrorCode code : codes) {
    EXPECT_TRUE(numbers.insert(static_cast<int>(code)).second) << static_cast<int>(code);
    EXPECT_FALSE(title_of(code).empty());
  }
}

TEST(ClosestMatch, SuggestsOnlyNearNames) {
  const std::vector<std::string> known = {"minmax", "histogram", "auto"};
  EXPECT_EQ(closest_match("minmx", known), "minmax");
  EXPECT_EQ(closest_match("histograms", known), "histogram");
  EXPECT_EQ(closest_match("zzzzzz", known), "");
  EXPECT_EQ(closest_match("x", {}), "");
}

}  // namespace
}  // namespace pare
