// Which names are routers of a mixture of experts. The names are those of published checkpoints.
#include "model/router_names.h"

#include <gtest/gtest.h>

#include <string>

namespace pare::model {
namespace {

class Router : public testing::TestWithParam<const char*> {};
class NoRouter : public testing::TestWithParam<const char*> {};

TEST_P(Router, IsTold) { EXPECT_TRUE(is_router_name(GetParam())); }
TEST_P(NoRouter, IsLeft) { EXPECT_FALSE(is_router_name(GetParam())); }

INSTANTIATE_TEST_SUITE_P(
    Names, Router,
    testing::Values("model.layers.0.mlp.gate",                        // Qwen, DeepSeek, OLMoE
                    "model.layers.0.mlp.shared_expert_gate",          // Qwen2-MoE
                    "model.layers.0.block_sparse_moe.gate",           // Mixtral, Phi-3.5-MoE
                    "model.layers.0.block_sparse_moe.router.layer",   // Granite
                    "model.layers.0.mlp.router",                      // gpt-oss
                    "model.layers.0.feed_forward.router",             // Llama 4, Jamba
                    "layers.0.feed_forward.gate",                     // Mixtral as Mistral has it
                    "transformer.blocks.0.ffn.router.layer",          // DBRX
                    "encoder.block.1.layer.1.mlp.router.classifier",  // Switch
                    "model.layers.0.moe_block.gate",                  // Grok
                    "model.layers.0.moe.gate",                        // Step
                    "backbone.layers.1.mixer.gate",                   // Nemotron-H
                    "model.layers.0.mlp.gate.wg",                     // Hunyuan
                    "model.layers.0.self_attention.experts.router.layer",  // JetMoE
                    "model.layers.0.moe.gate_network", "mlp.gate", "router"));

INSTANTIATE_TEST_SUITE_P(
    Names, NoRouter,
    testing::Values("model.layers.0.mlp.gate_proj", "model.layers.0.mlp.experts.3.gate_proj",
                    "model.layers.0.mlp.shared_expert.gate_proj", "model.layers.0.mlp.gate_up_proj",
                    "model.layers.0.block_sparse_moe.experts.0.w1", "model.layers.0.attention.gate",
                    "model.layers.0.self_attn.g_proj", "model.layers.0.mlp.experts.0.gate",
                    "model.layers.0.mlp.gate.bias_proj", "model.layers.0.mlp.navigate", "gate", "",
                    ".", "model.layers.0.mlp.routers.extra"));

}  // namespace
}  // namespace pare::model
