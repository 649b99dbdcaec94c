// What names of modules say: blocks, heads, fused and split linears.
#include "model/module_names.h"

#include <gtest/gtest.h>

namespace pare::model {
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
  EXPECT_TRUE(is_no_linear("model.embed_tokens"));
  EXPECT_FALSE(is_no_linear("embed_out")) << "the head of GPT-NeoX";
  EXPECT_FALSE(is_no_linear("model.layers.0.mlp.gate"));
}

TEST(ModuleNames, OnlyAHeadIsAHead) {
  for (const char* name :
       {"lm_head", "score", "embed_out", "transformer.output_layer", "output", "classifier",
        "classifier.dense", "classification_head.out_proj", "v_head.summary",
        "model.layers.61.shared_head.head", "medusa_head.0.lm_head"}) {
    EXPECT_TRUE(is_head(name)) << name;
  }
  for (const char* name :
       {"model.layers.1.self_attn.v_proj", "model.layers.0.attention.output.dense",
        "model.layers.0.mlp.scorer", "encoder.layer.3.output.dense", "model.layers.2.score",
        "layers.0.attention.output", "model.embed_tokens", "scores"}) {
    EXPECT_FALSE(is_head(name)) << name;
  }
}

}  // namespace
}  // namespace pare::model
