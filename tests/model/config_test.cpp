// Configs of every architecture: keys old and new, defaults, and what is refused.
#include "io/json.h"
#include "model/architecture.h"
#include "pare/error.h"

#include <gtest/gtest.h>

namespace pare::model {
namespace {

ModelGraph read(const std::string& text) {
  const io::Json json = io::parse_json(text, "test");
  const ConfigReader config(json, "config.json");
  const Architecture* arch = find_architecture(config);
  EXPECT_NE(arch, nullptr);
  return arch->read(config);
}

ErrorCode failure_of(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error for " << text;
  return ErrorCode::internal;
}

Module of(const ModelGraph& graph, std::int64_t block, Role role) {
  return *find_role(graph.block(block), role);
}

/// The order in which modules are written and read again.
TEST(Modules, StandInTheOrderOfRegistration) {
  const ModelGraph g = read(R"({"model_type": "qwen3", "num_hidden_layers": 2})");
  std::vector<std::string> names;
  for (const Module& module : g.block(1))
    names.push_back(module.name.substr(15));
  EXPECT_EQ(names,
            (std::vector<std::string>{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                      "self_attn.o_proj", "self_attn.q_norm", "self_attn.k_norm",
                                      "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
                                      "input_layernorm", "post_attention_layernorm"}));
  EXPECT_EQ(g.modules.front().role, Role::embedding);
  EXPECT_EQ(g.modules.back().role, Role::head);
  EXPECT_TRUE(g.block(2).empty());
}

TEST(Modules, SayWhoReadsWhatAndWhoIsSplitAmongDevices) {
  const ModelGraph g = read(R"({"model_type": "llama", "num_hidden_layers": 1})");
  for (const Module& module : g.block(0)) {
    if (module.kind != ModuleKind::linear) continue;
    const bool down = module.role == Role::o || module.role == Role::down;
    EXPECT_EQ(module.row_parallel, down) << module.name;
  }
  EXPECT_EQ(of(g, 0, Role::input_norm).site, of(g, 0, Role::v).site);
  EXPECT_EQ(of(g, 0, Role::mlp_norm).site, of(g, 0, Role::up).site);
  EXPECT_NE(of(g, 0, Role::o).site, of(g, 0, Role::v).site);
}

TEST(Modules, ATiedHeadComesFromTheEmbedding) {
  const ModelGraph tied = read(R"({"model_type": "llama", "tie_word_embeddings": true})");
  EXPECT_EQ(tied.module(Role::head).source, "model.embed_tokens.weight");
  const ModelGraph own = read(R"({"model_type": "llama"})");
  EXPECT_EQ(own.module(Role::head).source, "lm_head.weight");
}

TEST(Config, LlamaDefaultsAreThoseOfTheClass) {
  const ModelGraph g = read(R"({"model_type": "llama"})");
  EXPECT_EQ(g.config.hidden_size, 4096);
  EXPECT_EQ(g.config.attention.kv_heads, 32);
  EXPECT_EQ(g.config.attention.head_dim, 128);
  EXPECT_EQ(g.modules.size(), 32U * 9 + 3);
  EXPECT_FLOAT_EQ(g.config.rms_norm_eps, 1e-6F);
  EXPECT_EQ(of(g, 31, Role::down).name, "model.layers.31.mlp.down_proj");
}

TEST(Config, AttentionBiasCoversTheOutputInLlamaButNotInQwen2) {
  const ModelGraph llama = read(R"({"model_type": "llama", "attention_bias": true})");
  EXPECT_TRUE(of(llama, 0, Role::o).bias);
  const ModelGraph qwen = read(R"({"model_type": "qwen2"})");
  EXPECT_TRUE(of(qwen, 0, Role::k).bias);
  EXPECT_FALSE(of(qwen, 0, Role::o).bias);
}

TEST(Config, NewAndOldRotaryKeysGiveTheSame) {
  const ModelGraph old_style = read(R"({"model_type": "llama", "rope_theta": 500000.0,
      "rope_scaling": {"type": "linear", "factor": 4.0}})");
  const ModelGraph new_style = read(R"({"model_type": "llama", "rope_parameters":
      {"rope_type": "linear", "rope_theta": 500000.0, "factor": 4.0}})");
  EXPECT_EQ(old_style.config.rope.theta, 500000.0);
  EXPECT_EQ(new_style.config.rope.theta, 500000.0);
  EXPECT_EQ(old_style.config.rope.scaling, RopeScaling::linear);
  EXPECT_EQ(new_style.config.rope.factor, 4.0);
}

TEST(Config, NullKeyValueHeadsMeanAsManyAsQueries) {
  const ModelGraph g =
      read(R"({"model_type": "mistral", "num_key_value_heads": null, "sliding_window": null})");
  EXPECT_EQ(g.config.attention.kv_heads, 32);
  EXPECT_EQ(g.config.windows.front(), 0);
}

TEST(Config, MistralWindowIsOnEveryLayer) {
  EXPECT_EQ(read(R"({"model_type": "mistral"})").config.windows[5], 4096);
}

TEST(Config, QwenWindowStartsAtItsLayer) {
  const ModelGraph g = read(R"({"model_type": "qwen2", "use_sliding_window": true,
      "sliding_window": 7, "max_window_layers": 2, "num_hidden_layers": 4})");
  EXPECT_EQ(g.config.windows, (std::vector<std::int64_t>{0, 0, 7, 7}));
}

TEST(Config, HeadDimMayBeExplicit) {
  const ModelGraph g = read(R"({"model_type": "qwen3", "hidden_size": 64,
      "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32})");
  EXPECT_EQ(of(g, 0, Role::q).out(), 128);
  EXPECT_EQ(of(g, 0, Role::o).in(), 128);
  EXPECT_EQ(of(g, 0, Role::q_norm).name, "model.layers.0.self_attn.q_norm");
}

TEST(Config, WhatCannotBeIsRefused) {
  EXPECT_EQ(failure_of(R"({"model_type": "llama", "hidden_size": "many"})"), ErrorCode::bad_config);
  EXPECT_EQ(failure_of(R"({"model_type": "llama", "hidden_size": -4})"), ErrorCode::bad_config);
  EXPECT_EQ(failure_of(R"({"model_type": "llama", "num_attention_heads": 31})"),
            ErrorCode::bad_config);
  EXPECT_EQ(failure_of(R"({"model_type": "llama", "num_hidden_layers": 100000})"),
            ErrorCode::bad_config);
  EXPECT_EQ(failure_of(R"({"model_type": "llama", "hidden_act": "gelu"})"),
            ErrorCode::feature_not_supported);
  EXPECT_EQ(failure_of(R"({"model_type": "llama", "rope_scaling": {"type": "yarn"}})"),
            ErrorCode::feature_not_supported);
}

TEST(Config, SizesWhoseProductWouldOverflowAreRefused) {
  const std::string largest = R"({"model_type": "llama", "head_dim": 2147483646})";
  EXPECT_GT(of(read(largest), 0, Role::q).out(), 0);
  EXPECT_EQ(failure_of(R"({"model_type": "llama", "head_dim": 2147483648})"),
            ErrorCode::bad_config);
}

TEST(Config, RotaryParametersThatAreNotUnderstoodAreRefusedByName) {
  const auto with = [](const std::string& rope) {
    return failure_of(R"({"model_type": "llama", )" + rope + "}");
  };
  EXPECT_EQ(with(R"("rope_parameters": {"rope_type": "default", "mscale": 1.0})"),
            ErrorCode::feature_not_supported);
  EXPECT_EQ(with(R"("rope_parameters": {"full": {"rope_theta": 1e6}, "sliding": {}})"),
            ErrorCode::feature_not_supported);
  EXPECT_EQ(with(R"("partial_rotary_factor": 0.5)"), ErrorCode::feature_not_supported);
  EXPECT_EQ(
      with(R"("rope_scaling": {"type": "linear", "factor": 2, "partial_rotary_factor": 0.5})"),
      ErrorCode::feature_not_supported);
}

TEST(Config, RotaryParametersThatAreTheSameForEveryLayerTypeAreRead) {
  const ModelGraph graph = read(R"({"model_type": "llama", "rope_theta": 1.0, "rope_parameters":
      {"full_attention": {"rope_type": "linear", "rope_theta": 2e6, "factor": 4.0},
       "sliding_attention": {"rope_type": "linear", "rope_theta": 2e6, "factor": 4.0}}})");
  EXPECT_EQ(graph.config.rope.theta, 2e6);
  EXPECT_EQ(graph.config.rope.scaling, RopeScaling::linear);
  EXPECT_EQ(graph.config.rope.factor, 4);
}

TEST(Config, LayerTypesThatAreNotKnownAreRefused) {
  EXPECT_EQ(failure_of(R"({"model_type": "qwen3", "layer_types": ["linear_attention"]})"),
            ErrorCode::feature_not_supported);
}

const Architecture* architecture_of(const std::string& text) {
  const io::Json json = io::parse_json(text, "test");
  return find_architecture(ConfigReader(json, "config.json"));
}

TEST(Config, ClassNamesCountBesideTheType) {
  EXPECT_NE(architecture_of(R"({"model_type": "llama"})"), nullptr);
  EXPECT_NE(architecture_of(R"({"model_type": "llama", "architectures": []})"), nullptr);
  EXPECT_NE(architecture_of(R"({"model_type": "llama", "architectures": ["LLaMAForCausalLM"]})"),
            nullptr);
  EXPECT_EQ(architecture_of(
                R"({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]})"),
            nullptr);
  EXPECT_EQ(architecture_of(R"({"model_type": "llama", "architectures": ["LlamaModel"]})"),
            nullptr);
}

TEST(Config, UnknownTypesHaveNoArchitectureWhateverTheirClass) {
  const io::Json json =
      io::parse_json(R"({"model_type": "gemma", "architectures": ["LlamaForCausalLM"]})", "test");
  EXPECT_EQ(find_architecture(ConfigReader(json, "config.json")), nullptr);
}

}  // namespace
}  // namespace pare::model
