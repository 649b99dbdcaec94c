// What rules believe about names: entries of "ignore" and groups.
#include "check/layouts/ct_groups.h"

#include <gtest/gtest.h>

namespace pare::check {
namespace {

TEST(Ignore, NamesInFullOrByRegularExpression) {
  const std::string down = "model.layers.3.mlp.down_proj";
  EXPECT_TRUE(is_ignored({"lm_head", down}, down));
  EXPECT_FALSE(is_ignored({"mlp.down_proj"}, down)) << "parts of names do not count";
  EXPECT_TRUE(is_ignored({"re:.*down_proj$"}, down));
  EXPECT_TRUE(is_ignored({R"(re:model\.layers\.3\..*)"}, down));
  EXPECT_FALSE(is_ignored({R"(re:model\.layers\.2\..*)"}, down));
  EXPECT_FALSE(is_ignored({"re:.*lm_head"}, down));
  EXPECT_TRUE(is_ignored({R"(re:.*layers\.[0-3]\..*)"}, down)) << "classes are not evaluated";
  EXPECT_TRUE(is_ignored({"Linear"}, down)) << "the class";
  EXPECT_FALSE(is_ignored({}, down));
}

TEST(Groups, NamesCountBeforeClasses) {
  std::vector<CtGroup> groups(2);
  groups[0].name = "all";
  groups[0].targets = {"Linear"};
  groups[1].name = "one";
  groups[1].targets = {"model.a"};
  EXPECT_EQ(group_of(groups, "model.a")->name, "one");
  EXPECT_EQ(group_of(groups, "model.b")->name, "all");
  groups.erase(groups.begin());
  EXPECT_EQ(group_of(groups, "model.b"), nullptr);
}

}  // namespace
}  // namespace pare::check
