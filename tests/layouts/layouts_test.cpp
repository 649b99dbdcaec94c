// What the three layouts put on disk: names, types, shapes, bytes, permissions.
#include "containers/npy/reader.h"
#include "io/file.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "quant/named_schemes.h"
#include "support/made_up_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

namespace pare::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

const quant::Scheme kStatic{.activations = quant::Activations::static_tensor};
const quant::Scheme kInt4{.weight_bits = 4};
const quant::Scheme kInt4Groups{
    .weight_bits = 4, .granularity = quant::Granularity::group, .group_size = 32};

/// A model written with one layout into a folder of its own.
struct Written {
  Written(std::string_view format, const test::MadeUpModel& model, ParamMap params = {})
      : layout(find_layout(format)) {
    params.fill_defaults(layout.params);
    files = test::write_model(layout, model, folder.path(), params);
  }

  io::Json json(const std::string& name) const { return io::read_json(folder.path() / name); }

  const Layout& layout;
  test::TemporaryFolder folder;
  std::vector<std::string> files;
};

std::vector<int> bytes_at(const TensorView& view, std::size_t count) {
  std::vector<int> bytes;
  for (std::size_t i = 0; i < count; ++i)
    bytes.push_back(std::to_integer<int>(view.data[i]));
  return bytes;
}

/// A single 8 x 8 linear with the codes (3o + 5i) mod 16 - 8.
test::MadeUpModel ramp_model(const quant::Scheme& scheme) {
  Rng rng(1);
  test::MadeUpModel model;
  model.plan.scheme_tag = "W4A16";
  model.plan.group_size = scheme.group_size;
  quant::QuantizedLinear q = test::made_up_linear(rng, "a", scheme, 8, 8, DType::f32, false);
  for (std::size_t o = 0; o < 8; ++o) {
    for (std::size_t i = 0; i < 8; ++i) {
      q.codes[o * 8 + i] = static_cast<std::int8_t>(static_cast<int>((3 * o + 5 * i) % 16) - 8);
    }
  }
  model.add_linear(std::move(q));
  return model;
}

TEST(AscendLayout, FilesAndPermissions) {
  const Written written("ascend", test::made_up_model(kStatic, DType::f16));
  EXPECT_THAT(written.files, ElementsAre("quant_model_weight_w8a8.safetensors",
                                         "quant_model_description_w8a8.json"));
  EXPECT_EQ(test::mode_of(written.folder.path() / written.files[0]), 0400U);
  EXPECT_EQ(test::mode_of(written.folder.path() / written.files[1]), 0600U);
  const io::Json description = written.json(written.files[1]);
  EXPECT_EQ(description.begin().key(), "model_quant_type");
  EXPECT_FALSE(description.contains("version"));
}

TEST(AscendLayout, TypesAndShapes) {
  const Written written("ascend", test::made_up_model(kStatic, DType::f16));
  const auto source = containers::open_checkpoint(written.folder.path() / written.files[0]);
  const std::string q = "model.layers.0.self_attn.q_proj.";
  const std::map<std::string, std::pair<DType, Shape>> expected = {
      {"weight", {DType::i8, {6, 64}}},       {"bias", {DType::f16, {6}}},
      {"weight_scale", {DType::f16, {6, 1}}}, {"weight_offset", {DType::f16, {6, 1}}},
      {"input_scale", {DType::f16, {1}}},     {"input_offset", {DType::f16, {1}}},
      {"quant_bias", {DType::i32, {6}}},      {"deq_scale", {DType::i64, {6}}}};
  for (const auto& [part, what] : expected) {
    const containers::TensorInfo* info = source->find(q + part);
    ASSERT_NE(info, nullptr) << part;
    EXPECT_EQ(info->dtype, what.first) << part;
    EXPECT_EQ(info->shape, what.second) << part << " " << info->shape.text();
  }
}

TEST(AscendLayout, OneScalePerTensor) {
  quant::Scheme scheme = kStatic;
  scheme.granularity = quant::Granularity::tensor;
  const Written written("ascend", test::made_up_model(scheme, DType::bf16));
  const auto source = containers::open_checkpoint(written.folder.path() / written.files[0]);
  const std::string q = "model.layers.0.self_attn.q_proj.";
  EXPECT_EQ(source->find(q + "weight_scale")->shape, Shape{1});
  EXPECT_EQ(source->find(q + "deq_scale")->shape, Shape{1});
  EXPECT_EQ(source->find(q + "deq_scale")->dtype, DType::f32);
  EXPECT_EQ(source->find(q + "quant_bias")->shape, Shape{6});
}

TEST(AscendLayout, FourBitCodesLieOneToAByte) {
  const Written written("ascend", ramp_model(kInt4));
  const auto source = containers::open_checkpoint(written.folder.path() / written.files[0]);
  const TensorView weight = source->read("a.weight");
  EXPECT_EQ(weight.shape, (Shape{8, 8}));
  EXPECT_EQ(bytes_at(weight, 4), (std::vector<int>{0xF8, 0xFD, 0x02, 0x07}));
}

TEST(AscendV1Layout, FilesAndHeader) {
  const Written written("ascend-v1", test::made_up_model(kInt4Groups, DType::bf16));
  EXPECT_THAT(written.files,
              ElementsAre("quant_model_weight_w4a16.safetensors", "quant_model_description.json"));
  EXPECT_EQ(test::mode_of(written.folder.path() / written.files[0]), 0400U);
  EXPECT_EQ(test::mode_of(written.folder.path() / written.files[1]), 0600U);
  const io::Json description = written.json(written.files[1]);
  std::vector<std::string> keys;
  for (const auto& [key, value] : description.items())
    keys.push_back(key);
  keys.resize(4);
  EXPECT_THAT(
      keys, ElementsAre("version", "model_quant_type", "group_size", "model.embed_tokens.weight"));
  EXPECT_EQ(description["version"], "1.0.0");
  EXPECT_EQ(description["group_size"], 32);
}

TEST(AscendV1Layout, GoldenBytesPerChannel) {
  const Written written("ascend-v1", ramp_model(kInt4));
  const auto source = containers::open_checkpoint(written.folder.path() / written.files[0]);
  const TensorView weight = source->read("a.weight");
  EXPECT_EQ(weight.shape, (Shape{8, 4}));
  EXPECT_EQ(bytes_at(weight, 4), (std::vector<int>{0xD8, 0x72, 0x1C, 0xB6}));
}

TEST(AscendV1Layout, GoldenBytesPerGroup) {
  quant::Scheme scheme = kInt4Groups;
  scheme.group_size = 4;
  const Written written("ascend-v1", ramp_model(scheme));
  const auto source = containers::open_checkpoint(written.folder.path() / written.files[0]);
  const TensorView weight = source->read("a.weight");
  EXPECT_EQ(weight.shape, (Shape{4, 8}));
  EXPECT_EQ(bytes_at(weight, 8),
            (std::vector<int>{0xB8, 0x0D, 0x52, 0xA7, 0xFC, 0x41, 0x96, 0xEB}));
}

TEST(AscendLayouts, SevenTensorsPerStaticLinear) {
  for (const std::string_view format : {"ascend", "ascend-v1", "npy"}) {
    const test::MadeUpModel model = test::made_up_model(kStatic, DType::f16);
    const Layout& layout = find_layout(format);
    const auto tensors = layout.declare(model.plan, test::defaults_of(layout));
    EXPECT_EQ(tensors.size(), model.tensors.size() + 3 * 7 + 1) << "and one bias";
  }
}

TEST(AscendLayouts, ShardsWithAnIndex) {
  for (const std::string_view format : {"ascend", "ascend-v1"}) {
    const test::MadeUpModel model = test::made_up_model(kStatic, DType::f32);
    ParamMap params;
    params.set(find_layout(format).params[0], "0.000004", "test");  // 4294 bytes
    const Written written(format, model, params);
    ASSERT_GT(written.files.size(), 4U);
    const std::string index = "quant_model_weight_w8a8.safetensors.index.json";
    EXPECT_THAT(written.files, ::testing::Contains(index));
    EXPECT_THAT(written.files[0], HasSubstr("quant_model_weight_w8a8-00001-of-0000"));
    EXPECT_EQ(test::mode_of(written.folder.path() / written.files[0]), 0400U);
    EXPECT_EQ(test::mode_of(written.folder.path() / index), 0600U);
    const auto checkpoint = written.layout.open(written.folder.path());
    for (const auto& [name, linear] : model.linears) {
      test::expect_same_linear(linear, checkpoint->linear(name)->linear, false);
    }
  }
}

TEST(NpyLayout, FilesAndKeys) {
  const Written written("npy", test::made_up_model(kStatic, DType::f32));
  EXPECT_THAT(
      written.files,
      UnorderedElementsAre("quant_weight.npy", "anti_fp_norm.npy", "weight_scale.npy",
                           "weight_offset.npy", "input_scale.npy", "input_offset.npy",
                           "quant_bias.npy", "deq_scale.npy", "quant_model_description_w8a8.json"));
  for (const std::string& name : written.files) {
    EXPECT_EQ(test::mode_of(written.folder.path() / name), name.ends_with(".npy") ? 0400U : 0600U);
  }
  const auto keys = [&](const std::string& name) {
    std::vector<std::string> all;
    const auto source = containers::open_npy_dict(written.folder.path() / name);
    for (const containers::TensorInfo& info : source->tensors())
      all.push_back(info.name);
    return all;
  };
  const std::string block = "model.layers.0.";
  EXPECT_THAT(
      keys("quant_weight.npy"),
      UnorderedElementsAre("model.embed_tokens", block + "self_attn.q_proj",
                           block + "self_attn.q_proj.bias", block + "self_attn.o_proj",
                           block + "mlp.up_proj", block + "mlp.kept", block + "mlp.kept.bias"));
  EXPECT_THAT(keys("anti_fp_norm.npy"),
              UnorderedElementsAre(block + "input_layernorm.weight", "model.norm.weight"));
  for (const char* name : {"weight_scale.npy", "deq_scale.npy", "input_offset.npy"}) {
    EXPECT_THAT(keys(name),
                UnorderedElementsAre(block + "self_attn.q_proj", block + "self_attn.o_proj",
                                     block + "mlp.up_proj"));
  }
}

TEST(NpyLayout, DeclaresWhatTheValuesBecome) {
  const test::MadeUpModel model = test::made_up_model(kStatic, DType::bf16);
  const Layout& npy = find_layout("npy");
  ParamMap torch;
  torch.set(npy.params[0], "torch", "test");
  EXPECT_EQ(npy.declare(model.plan, test::defaults_of(npy))[0].dtype, DType::f32);
  EXPECT_EQ(npy.declare(model.plan, torch)[0].dtype, DType::bf16);
  OutputPlan plan = model.plan;
  plan.layout = &npy;
  EXPECT_GT(output_bytes(plan, test::defaults_of(npy)), output_bytes(plan, torch));
  ParamMap wrong;
  EXPECT_THROW(wrong.set(npy.params[0], "jax", "test"), Error);
}

TEST(NpyLayout, TorchValuesKeepBf16) {
  const test::MadeUpModel model = test::made_up_model(kStatic, DType::bf16);
  ParamMap torch;
  torch.set(find_layout("npy").params[0], "torch", "test");
  const Written written("npy", model, torch);
  const auto checkpoint = written.layout.open(written.folder.path());
  for (const auto& [name, linear] : model.linears) {
    test::expect_same_linear(linear, checkpoint->linear(name)->linear, false);
  }
  EXPECT_EQ(checkpoint->tensor("model.norm.weight")->dtype, DType::bf16);
}

TEST(NpyLayout, WithoutADescriptionTheFilesSpeak) {
  for (const quant::Scheme& scheme : {kStatic, quant::Scheme{}, kInt4Groups}) {
    const test::MadeUpModel model = test::made_up_model(scheme, DType::f32);
    const Written written("npy", model);
    std::filesystem::remove(written.folder.path() / written.files.back());
    const auto checkpoint = written.layout.open(written.folder.path());
    ASSERT_EQ(checkpoint->linears().size(), 3U);
    for (const auto& [name, linear] : model.linears) {
      test::expect_same_linear(linear, checkpoint->linear(name)->linear, false);
    }
    EXPECT_EQ(checkpoint->tensors().size(), model.tensors.size());
  }
}

TEST(Config, WhatEachLayoutAsksFor) {
  const OutputPlan plan = test::made_up_model(kInt4Groups, DType::bf16).plan;
  const auto patch = [&](std::string_view format) {
    return io::parse_json(find_layout(format).config_patch(plan), "patch");
  };
  EXPECT_EQ(patch("ascend"), io::parse_json(R"({"quantize": "w4a16", "quantization_config":
      {"group_size": 32, "kv_quant_type": null, "fa_quant_type": null}})",
                                            "expected"));
  EXPECT_EQ(find_layout("ascend-v1").config_patch, nullptr);
  EXPECT_EQ(find_layout("npy").config_patch, nullptr);
}

TEST(Refusals, Schemes) {
  for (const char* id : {"ascend", "ascend-v1", "npy"}) {
    const Layout* layout = &find_layout(id);
    EXPECT_EQ(layout->refuses(kStatic), "");
    EXPECT_EQ(layout->refuses(kInt4Groups), "");
    quant::Scheme asymmetric = kStatic;
    asymmetric.symmetric = false;
    EXPECT_THAT(layout->refuses(asymmetric), HasSubstr("symmetric"));
    quant::Scheme groups = kStatic;
    groups.granularity = quant::Granularity::group;
    groups.group_size = 32;
    EXPECT_THAT(layout->refuses(groups), HasSubstr("groups"));
    EXPECT_NE(layout->refuses({.weight_bits = 3}), "");
  }
}

OutputPlan plan_of_shape(const quant::Scheme& scheme, std::int64_t out, std::int64_t in) {
  OutputPlan plan;
  plan.scheme_tag = quant::scheme_tag_of(scheme);
  quant::LinearHeader linear;
  linear.name = "model.odd_proj";
  linear.scheme = scheme;
  linear.out = out;
  linear.in = in;
  plan.entries.push_back({.linear = linear, .tensor = {}});
  return plan;
}

TEST(Refusals, OddShapesThatMustBePacked) {
  const Layout& v1 = find_layout("ascend-v1");
  EXPECT_THAT(v1.check(plan_of_shape(kInt4, 4, 63)), HasSubstr("model.odd_proj has 63 inputs"));
  EXPECT_THAT(v1.check(plan_of_shape(kInt4Groups, 3, 64)),
              HasSubstr("model.odd_proj has 3 outputs"));
  EXPECT_EQ(v1.check(plan_of_shape(kInt4, 3, 64)), "");
  EXPECT_EQ(v1.check(plan_of_shape(quant::Scheme{}, 3, 63)), "");
  EXPECT_EQ(find_layout("ascend").check(plan_of_shape(kInt4, 3, 63)), "");
}

TEST(Refusals, OrderOfColumns) {
  OutputPlan plan = plan_of_shape(kInt4Groups, 4, 64);
  plan.entries[0].linear->act_order = true;
  for (const std::string_view format : {"ascend", "ascend-v1", "npy"}) {
    EXPECT_THAT(find_layout(format).check(plan), HasSubstr("model.odd_proj: the layout has no"));
  }
}

TEST(Refusals, Names) {
  const auto with_tensor = [](const std::string& name) {
    OutputPlan plan = plan_of_shape(quant::Scheme{}, 4, 4);
    plan.entries.push_back({.linear = std::nullopt, .tensor = {name, DType::f32, {2}}});
    return plan;
  };
  const Layout& ascend = find_layout("ascend");
  EXPECT_THAT(ascend.check(with_tensor("model.odd_proj.weight_scale")), HasSubstr("two tensors"));
  EXPECT_THAT(ascend.check(with_tensor("group_size")), HasSubstr("group_size"));
  EXPECT_EQ(ascend.check(with_tensor("model.position")), "");
  const Layout& npy = find_layout("npy");
  EXPECT_THAT(npy.check(with_tensor("model.position")), HasSubstr("model.position"));
  EXPECT_THAT(npy.check(with_tensor("other.weight_scale")), HasSubstr("other.weight_scale"));
  EXPECT_THAT(npy.check(with_tensor("other.bias.weight")), HasSubstr("other.bias.weight"));
  EXPECT_EQ(npy.check(with_tensor("other.bias")), "");
}

TEST(Registry, NearMatch) {
  try {
    find_layout("ascend-1");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unknown_entry);
    EXPECT_THAT(error.hint(), HasSubstr("ascend-v1"));
  }
}

}  // namespace
}  // namespace pare::layout
