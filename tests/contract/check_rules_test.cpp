// What every rule and engine of `pare check` must say of itself. Seeded faults for each are in
// tests/support/check_faults.py.
#include "check/layouts.h"
#include "check/rule.h"
#include "pare/error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kFloat, kAwq,  kGptq,   kCt,    kAscend, kAscendV1,
                                 kNpy,   kGguf, kPacked, kOther, kUnknown};

bool is_layout(std::string_view id) {
  return std::find(kLayouts.begin(), kLayouts.end(), id) != kLayouts.end();
}

TEST(Rules, DescribeThemselves) {
  std::set<std::string_view> ids;
  for (const Rule* rule : rules()) {
    EXPECT_TRUE(ids.insert(rule->id).second) << rule->id << " is there twice";
    EXPECT_LE(rule->id.size(), 24U) << rule->id << " is wider than its column";
    EXPECT_GT(rule->summary.size(), 10U) << rule->id;
    EXPECT_FALSE(rule->summary.ends_with('.')) << rule->id;
    EXPECT_GT(rule->source.size(), 10U) << rule->id;
    EXPECT_NE(rule->check, nullptr) << rule->id;
    for (const std::string_view layout : rule->layouts)
      EXPECT_TRUE(is_layout(layout)) << rule->id << ": " << layout;
    for (const std::string_view target : rule->targets) {
      if (target == kEveryTarget) continue;
      EXPECT_EQ(find_target(target).id, target) << rule->id;
    }
  }
  EXPECT_GT(ids.size(), 50U);
}

TEST(Rules, OfAnEngineConcernLayoutsThatItReads) {
  for (const Rule* rule : rules()) {
    for (const std::string_view id : rule->targets) {
      if (id == kEveryTarget) continue;
      const Target& target = find_target(id);
      for (const std::string_view layout : rule->layouts)
        EXPECT_TRUE(loads(target, layout)) << rule->id << " asks " << id << " about " << layout;
    }
  }
}

TEST(Targets, DescribeThemselves) {
  std::set<std::string_view> ids;
  for (const Target* target : targets()) {
    EXPECT_TRUE(ids.insert(target->id).second) << target->id;
    EXPECT_GT(target->summary.size(), 10U);
    EXPECT_GT(target->source.size(), 5U);
    EXPECT_FALSE(target->layouts.empty());
    for (const std::string_view layout : target->layouts)
      EXPECT_TRUE(is_layout(layout)) << target->id;
  }
  EXPECT_THROW(find_target("vlm"), Error);
}

}  // namespace
}  // namespace pare::check
