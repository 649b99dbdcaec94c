// Parameter values: what is allowed, what is refused, and how the refusal reads.
#include "pare/job.h"
#include "support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace pare {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ParamSpec kGroup{.name = "group_size",
                           .type = ParamType::integer,
                           .default_value = "64",
                           .choices = "32|64|128|256"};
constexpr ParamSpec kSteps{.name = "steps", .type = ParamType::integer, .min = 1, .max = 10};
constexpr ParamSpec kFraction{
    .name = "fraction", .type = ParamType::number, .default_value = "0.5", .min = 0, .max = 1};
constexpr ParamSpec kSymmetric{.name = "symmetric", .type = ParamType::flag};
constexpr ParamSpec kMethod{
    .name = "method", .type = ParamType::choice, .choices = "minmax|histogram"};
constexpr ParamSpec kLabel{.name = "label", .type = ParamType::text};
constexpr ParamSpec kNames{.name = "names", .type = ParamType::list};

TEST(ParamMap, TakesAllowedValues) {
  ParamMap params;
  params.set(kGroup, "128", "here");
  params.set(kSteps, "10", "here");
  params.set(kFraction, "0.25", "here");
  params.set(kSymmetric, "true", "here");
  params.set(kMethod, "minmax", "here");
  params.set(kLabel, "any text", "here");
  params.set_list(kNames, {"a", "b"});
  EXPECT_EQ(params.integer("group_size"), 128);
  EXPECT_EQ(params.integer("steps"), 10);
  EXPECT_EQ(params.number("fraction"), 0.25);
  EXPECT_TRUE(params.flag("symmetric"));
  EXPECT_EQ(params.text("method"), "minmax");
  EXPECT_EQ(params.text("label"), "any text");
  EXPECT_THAT(params.list("names"), ElementsAre("a", "b"));
}

std::string refusal(const ParamSpec& spec, const char* value) {
  return PARE_ERROR_TEXT(bad_option_value, ParamMap().set(spec, value, "recipe.yaml:3"));
}

TEST(ParamMap, RefusesOthersAndSaysWhatIsAllowed) {
  EXPECT_THAT(refusal(kGroup, "100"), HasSubstr("one of 32|64|128|256"));
  EXPECT_THAT(refusal(kGroup, "100"), HasSubstr("recipe.yaml:3"));
  EXPECT_THAT(refusal(kGroup, "100"), HasSubstr("group_size = \"100\""));
  EXPECT_THAT(refusal(kMethod, "minmaks"), HasSubstr("did you mean \"minmax\"?"));
  EXPECT_THAT(refusal(kSteps, "0"), HasSubstr("a whole number in 1..10"));
  for (const char* value : {"11", "", "1.5", "1x", " 1", "99999999999999999999"})
    refusal(kSteps, value);
  for (const char* value : {"-0.1", "1.1", "", "half", "nan", "0.5x"})
    refusal(kFraction, value);
  for (const char* value : {"", "yes", "TRUE", "1"})
    refusal(kSymmetric, value);
}

TEST(ParamMap, DefaultsFillWhatWasNotGiven) {
  const std::array specs = {kGroup, kFraction, kLabel};
  ParamMap params;
  params.set(kGroup, "32", "here");
  params.fill_defaults(specs);
  EXPECT_EQ(params.integer("group_size"), 32);
  EXPECT_EQ(params.number("fraction"), 0.5);
  EXPECT_TRUE(params.given("group_size"));
  EXPECT_FALSE(params.given("fraction"));
  EXPECT_FALSE(params.values().contains("label"));
}

TEST(ParamMap, UnsetValuesGiveTheFallback) {
  const ParamMap params;
  EXPECT_EQ(params.integer("a", 7), 7);
  EXPECT_EQ(params.number("a", 0.5), 0.5);
  EXPECT_EQ(params.text("a", "t"), "t");
  EXPECT_FALSE(params.flag("a"));
  EXPECT_TRUE(params.list("a").empty());
}

TEST(ParamNames, DashesAndUnderscores) {
  EXPECT_EQ(canonical_param_name("group-size"), "group_size");
  EXPECT_EQ(option_name("group_size"), "--group-size");
}

}  // namespace
}  // namespace pare
