// What rules believe about names: blocks, fused linears, and entries of "ignore".
#include "check/layouts/ct_groups.h"
#include "check/module_names.h"

#include <gtest/gtest.h>

namespace pare::check {
namespace {

TEST(ModuleNames, SplitAtTheFirstNumber) {
  const auto found = in_block("model.layers.3.mlp.experts.12.w2");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->block, "model.layers.3.");
  EXPECT_EQ(found->name, "mlp.experts.12.w2");
  EXPECT_FALSE(in_block("lm_head").has_value());
  EXPECT_FALSE(in_block("").has_value());
  EXPECT_FALSE(in_block("3.mlp").has_value()) << "a number with nothing before it";
  EXPECT_FALSE(in_block("model..3").has_value());
}

TEST(ModuleNames, KnowRolesByTheLastWord) {
  EXPECT_EQ(parent_of("a.b.q_proj"), "a.b.");
  EXPECT_EQ(last_name("q_proj"), "q_proj");
  EXPECT_TRUE(is_row_parallel("model.layers.0.mlp.down_proj"));
  EXPECT_FALSE(is_row_parallel("model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(is_head("lm_head"));
  EXPECT_TRUE(is_no_linear("model.embed_tokens"));
  EXPECT_FALSE(is_no_linear("embed_out")) << "the head of GPT-NeoX";
  EXPECT_FALSE(is_no_linear("model.layers.0.mlp.gate"));
}

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
