// compressed-tensors: the words of a known linear, its configuration, and other people's folders.
#include "layouts/hf/bit_words.h"
#include "support/hf_folder.h"

#include <functional>
#include <limits>

namespace pare::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kUp = "model.layers.0.mlp.up_proj";
const quant::Scheme kStatic{.activations = quant::Activations::static_tensor};

std::vector<std::uint32_t> row_words(const std::vector<std::int8_t>& codes, int bits) {
  const auto count = static_cast<std::int64_t>(codes.size());
  const StridedCodes<const std::int8_t> grid = {codes.data(), 1, count, count, 1};
  return test::words_of(pack_along_rows(grid, bits, WordOrder::natural).view());
}

TEST(CtPacking, Words) {
  EXPECT_THAT(row_words({-7, -6, -5, -4, -3, -2, -1, 0}, 4), ElementsAre(0x87654321U));
  EXPECT_THAT(row_words({-8, 7, 0, -1, 1, -2, 2, -3}, 4), ElementsAre(0x5A6978F0U));
  EXPECT_THAT(row_words({-128, 127, 0, -1}, 8), ElementsAre(0x7F80FF00U));
  EXPECT_THAT(row_words({-8, -7, -6, -5, -4, -3, -2, -1, 0, 1}, 4),
              ElementsAre(0x76543210U, 0x00000098U));
}

test::HfFolder golden() {
  return test::HfFolder::of("compressed-tensors", test::one_linear(test::golden_linear()));
}

TEST(Ct, GoldenWords) {
  const test::HfFolder files = golden();
  EXPECT_EQ(files.tensors.at("a.weight_packed").shape(), (Shape{8, 1}));
  EXPECT_THAT(test::words_of(files.tensors.at("a.weight_packed").view()),
              ElementsAre(0x3E94FA50U, 0x61C72D83U, 0x94FA50B6U, 0xC72D83E9U, 0xFA50B61CU,
                          0x2D83E94FU, 0x50B61C72U, 0x83E94FA5U));
  EXPECT_EQ(files.tensors.at("a.weight_zero_point").shape(), (Shape{1, 1}));
  EXPECT_THAT(test::words_of(files.tensors.at("a.weight_zero_point").view()),
              ElementsAre(0xC3F16978U));
  EXPECT_EQ(files.tensors.at("a.weight_scale").shape(), (Shape{8, 1}));
  EXPECT_THAT(test::words_of(files.tensors.at("a.weight_shape").view()), ElementsAre(8, 0, 8, 0));
  test::expect_same_linear(test::golden_linear(), files.read("a"), false);
}

TEST(Ct, SymmetricLinearsHaveNoZeros) {
  quant::QuantizedLinear q = test::golden_linear();
  q.scheme.symmetric = true;
  q.zeros.assign(8, 0.0F);
  const test::HfFolder files = test::HfFolder::of("compressed-tensors", test::one_linear(q));
  EXPECT_FALSE(files.tensors.contains("a.weight_zero_point"));
  test::expect_same_linear(q, files.read("a"), false);
}

TEST(Ct, OddSizesArePadded) {
  const quant::Scheme scheme{.weight_bits = 4, .symmetric = false};
  Rng rng(3);
  const quant::QuantizedLinear q =
      test::made_up_linear(rng, "a", scheme, 11, 21, DType::bf16, true);
  const test::HfFolder files = test::HfFolder::of("compressed-tensors", test::one_linear(q));
  EXPECT_EQ(files.tensors.at("a.weight_packed").shape(), (Shape{11, 3}));
  EXPECT_EQ(files.tensors.at("a.weight_zero_point").shape(), (Shape{2, 1}));
  test::expect_same_linear(q, files.read("a"), false);
}

TEST(Ct, ActOrder) {
  quant::QuantizedLinear q = test::golden_linear(4);
  q.zeros.assign(16, 1.0F);
  q.scales.assign(16, .5F);
  q.group_index = {1, 0, 1, 0, 1, 0, 1, 0};
  const test::HfFolder files = test::HfFolder::of("compressed-tensors", test::one_linear(q));
  EXPECT_EQ(files.config["quantization_config"]["config_groups"]["group_0"]["weights"]["actorder"],
            "group");
  EXPECT_THAT(test::words_of(files.tensors.at("a.weight_g_idx").view()),
              ElementsAre(1, 0, 1, 0, 1, 0, 1, 0));
  test::expect_same_linear(q, files.read("a"), false);
}

io::Json config_of(const OutputPlan& plan) {
  return io::parse_json(find_layout("compressed-tensors").config_patch(plan),
                        "patch")["quantization_config"];
}

TEST(Ct, ConfigOfGroups) {
  const quant::Scheme scheme{
      .weight_bits = 4, .granularity = quant::Granularity::group, .group_size = 32};
  EXPECT_EQ(config_of(test::made_up_model(scheme, DType::bf16).plan), io::parse_json(R"({
      "quant_method": "compressed-tensors", "format": "pack-quantized",
      "quantization_status": "compressed", "config_groups": {"group_0": {"targets": ["Linear"],
      "weights": {"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group",
                  "group_size": 32, "dynamic": false, "actorder": null},
      "input_activations": null, "output_activations": null}},
      "ignore": ["model.layers.0.mlp.kept", "lm_head"], "kv_cache_scheme": null,
      "global_compression_ratio": null})",
                                                                                     "expected"));
}

TEST(Ct, ConfigOfActivations) {
  const auto group = [](const OutputPlan& plan) {
    return config_of(plan)["config_groups"]["group_0"];
  };
  test::MadeUpModel model = test::made_up_model(kStatic, DType::bf16);
  EXPECT_EQ(config_of(model.plan)["format"], "int-quantized");
  EXPECT_EQ(group(model.plan)["weights"], io::parse_json(R"({"num_bits": 8, "type": "int",
      "symmetric": true, "strategy": "channel", "dynamic": false})",
                                                         "expected"));
  EXPECT_EQ(group(model.plan)["input_activations"], io::parse_json(R"({"num_bits": 8,
      "type": "int", "symmetric": false, "strategy": "tensor", "dynamic": false})",
                                                                   "expected"));
  for (OutputEntry& entry : model.plan.entries) {
    if (entry.linear.has_value()) entry.linear->symmetric_input = true;
  }
  EXPECT_EQ(group(model.plan)["input_activations"]["symmetric"], true);
  const quant::Scheme dynamic{.activations = quant::Activations::dynamic_token};
  EXPECT_EQ(group(test::made_up_model(dynamic, DType::bf16).plan)["input_activations"],
            io::parse_json(R"({"num_bits": 8, "type": "int", "symmetric": true,
      "strategy": "token", "dynamic": true})",
                           "expected"));
}

TEST(Ct, StaticActivations) {
  test::MadeUpModel model = test::made_up_model(kStatic, DType::bf16);
  const test::HfFolder files = test::HfFolder::of("compressed-tensors", model);
  EXPECT_EQ(files.tensors.at(kUp + ".weight").dtype(), DType::i8);
  EXPECT_EQ(files.tensors.at(kUp + ".weight_scale").shape(), (Shape{2, 1}));
  const Tensor& scale = files.tensors.at(kUp + ".input_scale");
  EXPECT_EQ(scale.dtype(), DType::f32);
  EXPECT_EQ(scale.shape(), Shape{1});
  const Tensor& zero = files.tensors.at(kUp + ".input_zero_point");
  EXPECT_EQ(zero.dtype(), DType::i8);
  EXPECT_EQ(std::to_integer<int>(zero.view().data[0]), 256 - 17);
  for (OutputEntry& entry : model.plan.entries) {
    if (entry.linear.has_value()) entry.linear->symmetric_input = true;
  }
  for (auto& [name, linear] : model.linears)
    linear.symmetric_input = true;
  EXPECT_THROW(test::HfFolder::of("compressed-tensors", model), Error) << "-17 is not symmetric";
  for (auto& [name, linear] : model.linears)
    linear.input->zero_point = 0;
  const test::HfFolder symmetric = test::HfFolder::of("compressed-tensors", model);
  EXPECT_FALSE(symmetric.tensors.contains(kUp + ".input_zero_point"));
  EXPECT_EQ(symmetric.read(kUp).input->zero_point, 0);
}

TEST(Ct, SeveralSchemesNameTheirModules) {
  test::MadeUpModel model = test::one_linear(test::golden_linear());
  Rng rng(5);
  quant::QuantizedLinear b =
      test::made_up_linear(rng, "b", {.weight_bits = 8}, 8, 8, DType::f16, false);
  model.add_linear(b);
  ASSERT_EQ(find_layout("compressed-tensors").check(model.plan), "");
  const test::HfFolder files = test::HfFolder::of("compressed-tensors", model);
  EXPECT_EQ(files.config["quantization_config"]["config_groups"]["group_1"]["targets"],
            io::Json::array({"b"}));
  test::expect_same_linear(test::golden_linear(), files.read("a"), false);
  test::expect_same_linear(b, files.read("b"), false);
}

TEST(Ct, Refusals) {
  const Layout& ct = find_layout("compressed-tensors");
  EXPECT_THAT(ct.refuses({.weight_bits = 4,
                          .activations = quant::Activations::dynamic_token,
                          .form = quant::CodeForm::two_stage}),
              HasSubstr("second stage"));
  EXPECT_THAT(ct.refuses({.granularity = quant::Granularity::tensor}), HasSubstr("mm-tensor"));
  quant::Scheme asymmetric = kStatic;
  asymmetric.symmetric = false;
  EXPECT_THAT(ct.refuses(asymmetric), HasSubstr("symmetric"));
  test::MadeUpModel model = test::made_up_model(kStatic, DType::bf16);
  model.plan.entries[1].linear->scheme = {.weight_bits = 8};
  EXPECT_THAT(ct.check(model.plan), HasSubstr("two formats"));
}

/// Weight-only int8 that is not packed, scalars without a dimension, int32 shapes.
TEST(CtImport, NaiveAndOtherSpellings) {
  const quant::Scheme dynamic{.activations = quant::Activations::dynamic_token};
  const test::MadeUpModel model = test::made_up_model(dynamic, DType::bf16);
  test::HfFolder files = test::HfFolder::of("compressed-tensors", model);
  files.quantization()["format"] = "naive-quantized";
  files.quantization()["config_groups"]["group_0"]["input_activations"] = nullptr;
  quant::QuantizedLinear expected = model.linears.at(kUp);
  expected.scheme.activations = quant::Activations::none;
  test::expect_same_linear(expected, files.read(kUp), false);

  test::HfFolder packed = golden();
  packed.tensors["a.weight_shape"] = test::words({2}, {8, 8});
  const std::vector<std::int8_t> zeros = {0, -1, 1, -2, -7, 7, -5, 4};
  packed.tensors["a.weight_zero_point"] = Tensor::from<std::int8_t>(DType::i8, {8, 1}, zeros);
  test::expect_same_linear(test::golden_linear(), packed.read("a"), false);

  test::HfFolder scalars =
      test::HfFolder::of("compressed-tensors", test::made_up_model(kStatic, DType::f32));
  const std::vector<float> scale = {.25F};
  scalars.tensors[kUp + ".input_scale"] = Tensor::from<float>(DType::f32, Shape{}, scale);
  EXPECT_EQ(scalars.read(kUp).input->scale, .25F);
}

TEST(CtImport, OldKeyAndWiderTargets) {
  test::HfFolder files = golden();
  files.config["compression_config"] = files.quantization();
  files.config.erase("quantization_config");
  files.config["compression_config"].erase("quant_method");
  files.config["compression_config"]["config_groups"]["group_0"]["targets"] = {"re:.*"};
  test::expect_same_linear(test::golden_linear(), files.read("a"), false);
}

TEST(CtImport, RefusesWhatItDoesNotRead) {
  const auto change = [](const std::function<void(io::Json&)>& fn, ErrorCode code,
                         const std::string& word) {
    test::HfFolder files = golden();
    fn(files.quantization());
    files.expect_refused("a", code, word);
  };
  constexpr ErrorCode kUnsupported = ErrorCode::scheme_not_supported;
  const auto weights = [](io::Json& c) -> io::Json& {
    return c["config_groups"]["group_0"]["weights"];
  };
  const auto input = [](io::Json& c) -> io::Json& {
    return c["config_groups"]["group_0"]["input_activations"];
  };
  change([](io::Json& c) { c["format"] = "float-quantized"; }, kUnsupported, "float-quantized");
  change([&](io::Json& c) { weights(c)["type"] = "float"; }, kUnsupported, "float");
  change([&](io::Json& c) { weights(c)["num_bits"] = 3; }, kUnsupported, "num_bits");
  change([&](io::Json& c) { weights(c)["strategy"] = "block"; }, kUnsupported, "block");
  change(
      [&](io::Json& c) {
        input(c) = {{"num_bits", 4}, {"type", "int"}};
      },
      kUnsupported, "input_activations");
  change(
      [&](io::Json& c) {
        input(c) = {{"num_bits", 8}, {"dynamic", "local"}};
      },
      kUnsupported, "local");
  change(
      [](io::Json& c) {
        c["sparsity_config"] = {{"format", "sparse-24-bitmask"}};
      },
      kUnsupported, "sparse-24");
  change([](io::Json& c) { c["config_groups"] = io::Json::array(); }, ErrorCode::bad_config,
         "config_groups");
  change([](io::Json& c) { c["config_groups"] = io::Json::object(); }, ErrorCode::bad_config,
         "config_groups");
  change([](io::Json& c) { c["ignore"] = {1}; }, ErrorCode::bad_config, "ignore");
  change([](io::Json& c) { c["ignore"] = {"a"}; }, ErrorCode::bad_description, "ignore");
  change([&](io::Json& c) { weights(c)["group_size"] = 4; }, ErrorCode::bad_description,
         "config_groups");
  change(
      [&](io::Json& c) {
        c["config_groups"]["group_1"] = c["config_groups"]["group_0"];
        c["config_groups"]["group_1"]["input_activations"] = {{"num_bits", 8}, {"dynamic", true}};
      },
      kUnsupported, "several entries");
}

TEST(CtImport, Hostile) {
  const auto with = [](const std::string& name, Tensor tensor, ErrorCode code,
                       const std::string& word) {
    test::HfFolder files = golden();
    files.tensors[name] = std::move(tensor);
    files.expect_refused("a", code, word);
  };
  const auto shape = [&](std::int64_t out, std::int64_t in) {
    const std::vector<std::int64_t> values = {out, in};
    with("a.weight_shape", Tensor::from<std::int64_t>(DType::i64, {2}, values),
         ErrorCode::bad_description, "weight_shape");
  };
  shape(8, 9);
  shape(8, 0);
  shape(8, -8);
  shape(8, -7);
  shape(7, 8);
  shape(std::int64_t{1} << 62, 8);
  shape(8, std::numeric_limits<std::int64_t>::max());
  constexpr ErrorCode kMismatch = ErrorCode::tensor_mismatch;
  with("a.weight_shape", Tensor(DType::i64, {3}), kMismatch, "a.weight_shape");
  with("a.weight_packed", Tensor(DType::i8, {8, 1}), kMismatch, "a.weight_packed");
  with("a.weight_zero_point", Tensor(DType::i32, {2, 1}), kMismatch, "a.weight_zero_point");
  with("a.weight_scale", Tensor(DType::f16, {7, 1}), kMismatch, "a.weight_scale");
  with("a.weight_g_idx", test::words({8}, {0, 0, 0, 0, 0, 0, 0, 1}), ErrorCode::bad_description,
       "group 1 of 1");
  with("a.weight", Tensor(DType::f16, {8, 8}), ErrorCode::bad_description, "a.weight");
  with("b.weight_scale", Tensor(DType::f16, {8, 1}), ErrorCode::bad_description, "b.weight_scale");
  test::HfFolder missing = golden();
  missing.tensors.erase("a.weight_scale");
  missing.expect_refused("a", ErrorCode::tensor_missing, "a.weight_scale");
  test::HfFolder input =
      test::HfFolder::of("compressed-tensors", test::made_up_model(kStatic, DType::f32));
  input.tensors[kUp + ".input_scale"] = Tensor(DType::f32, {1});
  input.expect_refused(kUp, ErrorCode::bad_description, "input_scale is 0");
}

}  // namespace
}  // namespace pare::layout
