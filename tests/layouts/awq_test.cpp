// AutoAWQ's layout: the words of a known linear, what is refused, and other people's folders.
#include "layouts/hf/bit_words.h"
#include "support/hf_folder.h"

namespace pare::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const quant::Scheme kGroups{
    .weight_bits = 4, .granularity = quant::Granularity::group, .group_size = 32};
const std::string kLinear = "model.layers.0.self_attn.q_proj";

std::vector<std::uint32_t> awq_words(const std::vector<std::int8_t>& codes) {
  const auto count = static_cast<std::int64_t>(codes.size());
  const StridedCodes<const std::int8_t> grid = {codes.data(), 1, count, count, 1};
  return test::words_of(pack_along_rows(grid, 4, WordOrder::awq).view());
}

/// Unsigned fields 1..8 and 0 15 8 7 9 6 10 5, as AutoAWQ packs them.
TEST(AwqPacking, NibbleOrder) {
  EXPECT_THAT(awq_words({-7, -6, -5, -4, -3, -2, -1, 0}), ElementsAre(0x86427531U));
  EXPECT_THAT(awq_words({-8, 7, 0, -1, 1, -2, 2, -3}), ElementsAre(0x567FA980U));
}

TEST(AwqPacking, EveryFieldComesBack) {
  for (int value = -8; value < 8; ++value) {
    for (std::size_t column = 0; column < 8; ++column) {
      std::vector<std::int8_t> codes(8, -8);
      codes[column] = static_cast<std::int8_t>(value);
      std::vector<std::int8_t> found(8);
      const std::vector<std::uint32_t> packed = awq_words(codes);
      unpack_along_rows(std::as_bytes(std::span(packed)), 4, WordOrder::awq,
                        {found.data(), 1, 8, 8, 1});
      EXPECT_EQ(found, codes);
    }
  }
}

test::HfFolder golden() {
  return test::HfFolder::of("autoawq", test::one_linear(test::golden_linear()));
}

TEST(Awq, GoldenWords) {
  const test::HfFolder files = golden();
  const Tensor& codes = files.tensors.at("a.qweight");
  EXPECT_EQ(codes.shape(), (Shape{8, 1}));
  EXPECT_THAT(test::words_of(codes.view()),
              ElementsAre(0x5F932C60U, 0xA4E871B5U, 0xF93DC60AU, 0x4E821B5FU, 0x93D760A4U,
                          0xE82CB5F9U, 0x3D710A4EU, 0x82C65F93U));
  EXPECT_THAT(test::words_of(files.tensors.at("a.qzeros").view()), ElementsAre(0xCF673198U));
  const Tensor& scales = files.tensors.at("a.scales");
  EXPECT_EQ(scales.dtype(), DType::f16);
  EXPECT_EQ(scales.shape(), (Shape{1, 8}));
  EXPECT_THAT(read_floats(scales.view()), ElementsAre(.5, .25, .125, 1, 2, .0625, .5, .03125));
}

TEST(Awq, GoldenWordsRead) {
  const quant::QuantizedLinear meant = test::golden_linear();
  const quant::QuantizedLinear found = golden().read("a");
  test::expect_same_linear(meant, found, false);
  std::vector<float> row(8);
  quant::dequantize_columns(found, 5, 0, 8, row.data());
  EXPECT_THAT(row, ElementsAre(0, -.6875, -.375, -.0625, -.75, -.4375, -.125, -.8125));
}

TEST(Awq, TwoGroupsLieTransposed) {
  quant::QuantizedLinear q = test::golden_linear(4);
  q.zeros.clear();
  q.scales.clear();
  for (int o = 0; o < 8; ++o) {
    for (const int g : {0, 1}) {
      q.zeros.push_back(static_cast<float>(o - 8 * g + g));
      q.scales.push_back(static_cast<float>(1 + o + 10 * g));
    }
  }
  const test::HfFolder files = test::HfFolder::of("autoawq", test::one_linear(q));
  EXPECT_THAT(read_floats(files.tensors.at("a.scales").view()),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18));
  // Group 0: fields 8..15, group 1: fields 1..8; the order of the nibbles as above.
  EXPECT_THAT(test::words_of(files.tensors.at("a.qzeros").view()),
              ElementsAre(0xFDB9ECA8U, 0x86427531U));
  test::expect_same_linear(q, files.read("a"), false);
}

TEST(Awq, SymmetricZerosAreEights) {
  const test::MadeUpModel model = test::made_up_model(
      kGroups, DType::bf16, {.q_out = 8, .up_out = 16, .linear_dtype = DType::f16});
  const test::HfFolder files = test::HfFolder::of("autoawq", model);
  EXPECT_THAT(test::words_of(files.tensors.at(kLinear + ".qzeros").view()),
              ::testing::Each(0x88888888U));
  EXPECT_EQ(files.tensors.at("model.norm.weight").dtype(), DType::f16);
  EXPECT_EQ(files.tensors.at(kLinear + ".bias").dtype(), DType::f16);
}

TEST(Awq, Config) {
  test::MadeUpModel model = test::made_up_model(
      kGroups, DType::bf16, {.q_out = 8, .up_out = 16, .linear_dtype = DType::f16});
  const auto patch = [&] {
    return io::parse_json(find_layout("autoawq").config_patch(model.plan), "patch");
  };
  EXPECT_EQ(patch(), io::parse_json(R"({"torch_dtype": "float16",
      "quantization_config": {"quant_method": "awq",
      "version": "gemm", "bits": 4, "group_size": 32, "zero_point": true,
      "modules_to_not_convert": ["model.layers.0.mlp.kept", "lm_head"]}})",
                                    "expected"));
  std::erase_if(model.plan.entries, [](const OutputEntry& i) {
    return i.tensor.name.find("kept") != std::string::npos;
  });
  EXPECT_TRUE(patch()["quantization_config"]["modules_to_not_convert"].is_null());
}

TEST(Awq, TypeKeyAsTheModelSpellsIt) {
  const test::TemporaryFolder folder;
  test::MadeUpModel model = test::made_up_model(kGroups, DType::bf16);
  model.plan.source = folder.path();
  io::write_text(folder.path() / "config.json", R"({"dtype": "bfloat16"})");
  const io::Json patch = io::parse_json(find_layout("autoawq").config_patch(model.plan), "patch");
  EXPECT_EQ(patch["dtype"], "float16");
  EXPECT_FALSE(patch.contains("torch_dtype"));
}

quant::LinearHeader plan_of_shape(std::int64_t out, std::int64_t in) {
  quant::LinearHeader linear;
  linear.name = "model.odd_proj";
  linear.scheme = kGroups;
  linear.out = out;
  linear.in = in;
  linear.scale_dtype = DType::f16;
  return linear;
}

OutputPlan plan_with(quant::LinearHeader linear) {
  OutputPlan plan;
  plan.entries.push_back({.linear = std::move(linear), .tensor = {}});
  return plan;
}

TEST(Awq, Refusals) {
  const Layout& awq = find_layout("autoawq");
  EXPECT_THAT(awq.refuses({.weight_bits = 8}), HasSubstr("4-bit"));
  EXPECT_THAT(awq.refuses({.weight_bits = 4}), HasSubstr("--group-size 128"));
  quant::Scheme wide = kGroups;
  wide.group_size = 256;
  EXPECT_THAT(awq.refuses(wide), HasSubstr("not of 256"));
  EXPECT_NE(awq.refuses({.activations = quant::Activations::dynamic_token}), "");
  EXPECT_EQ(awq.check(plan_with(plan_of_shape(8, 64))), "");
  EXPECT_THAT(awq.check(plan_with(plan_of_shape(12, 64))), HasSubstr("12 outputs"));
  EXPECT_THAT(awq.check(plan_with(plan_of_shape(8, 72))), HasSubstr("72 inputs"));
  quant::LinearHeader ordered = plan_of_shape(8, 64);
  ordered.act_order = true;
  EXPECT_THAT(awq.check(plan_with(ordered)), HasSubstr("act-order"));
  quant::LinearHeader power = plan_of_shape(8, 64);
  power.has_exponent = true;
  EXPECT_THAT(awq.check(plan_with(power)), HasSubstr("power"));
}

TEST(Awq, RefusesNamesThatContainEachOther) {
  OutputPlan plan = plan_with(plan_of_shape(8, 64));
  plan.entries[0].linear->name = "model.layers.0.mlp.gate_proj";
  plan.entries.push_back(
      {.linear = std::nullopt, .tensor = {"model.layers.0.mlp.gate.weight", DType::f16, {4, 8}}});
  EXPECT_THAT(find_layout("autoawq").check(plan), HasSubstr("model.layers.0.mlp.gate stays"));
}

void expect_not_written(const quant::QuantizedLinear& q, ErrorCode code, const std::string& word) {
  try {
    test::HfFolder::of("autoawq", test::one_linear(q));
    ADD_FAILURE() << "written; expected " << word;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(word));
  }
}

TEST(Awq, ZerosAndScalesWithoutAPlace) {
  quant::QuantizedLinear q = test::golden_linear();
  q.zeros[3] = 0.5F;
  expect_not_written(q, ErrorCode::scheme_not_supported, "row 3, group 0: zero point 8.5");
  q.zeros[3] = 8;
  expect_not_written(q, ErrorCode::scheme_not_supported, "zero point 16 has no place; 0 to 15");
  q.zeros[3] = -9;
  expect_not_written(q, ErrorCode::scheme_not_supported, "zero point -1");
  q.zeros[3] = 7;
  q.scales[2] = 0.1F;  // 0x2E66 in F16 is 0.0999755859375
  expect_not_written(q, ErrorCode::out_of_range, "row 2, group 0: scale 0.1");
  q.scales[2] = 1e6F;
  expect_not_written(q, ErrorCode::out_of_range, "scale 1000000");
  q.scales[2] = 0.0999755859375F;
  EXPECT_EQ(test::HfFolder::of("autoawq", test::one_linear(q)).read("a").scales[2], q.scales[2]);
}

/// One file has no index beside it; numbered files have.
TEST(Awq, Shards) {
  const Layout& layout = find_layout("autoawq");
  const test::MadeUpModel model = test::made_up_model(
      kGroups, DType::bf16, {.q_out = 8, .up_out = 16, .linear_dtype = DType::f16});
  ParamMap params;
  params.set(layout.params[0], "0.000003", "test");  // 3221 bytes
  const test::TemporaryFolder folder;
  const std::vector<std::string> files = test::write_model(layout, model, folder.path(), params);
  ASSERT_GT(files.size(), 2U);
  EXPECT_THAT(files.front(), ::testing::StartsWith("model-00001-of-0000"));
  EXPECT_EQ(files.back(), "model.safetensors.index.json");
  const auto checkpoint = layout_of(folder.path())->open(folder.path());
  for (const auto& [name, linear] : model.linears) {
    test::expect_same_linear(linear, checkpoint->linear(name)->linear, false);
  }
}

TEST(Awq, RefusesFloatsThatOverflow) {
  test::MadeUpModel model = test::one_linear(test::golden_linear());
  const std::vector<float> large = {1, 70000};
  model.add_tensor("model.norm.weight", store_floats(large, DType::bf16, {2}));
  try {
    test::HfFolder::of("autoawq", model);
    FAIL() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_range);
    EXPECT_THAT(error.what(), HasSubstr("model.norm.weight"));
  }
}

TEST(AwqImport, OtherSpellings) {
  test::HfFolder files = golden();
  files.quantization() = {{"quant_method", "awq"},
                          {"version", "GEMM"},
                          {"w_bit", 4},
                          {"q_group_size", -1},
                          {"zero_point", true}};
  EXPECT_EQ(files.read("a").scheme.granularity, quant::Granularity::channel);
  files.quantization()["q_group_size"] = 8;
  EXPECT_EQ(files.read("a").scheme.group_size, 8);
}

TEST(AwqImport, RefusesOtherVersionsAndBits) {
  test::HfFolder files = golden();
  files.quantization()["version"] = "gemv";
  files.expect_refused("a", ErrorCode::scheme_not_supported, "gemv");
  files.quantization()["version"] = "gemm";
  files.quantization()["bits"] = 8;
  files.expect_refused("a", ErrorCode::scheme_not_supported, "8 bits");
  files.quantization()["bits"] = "four";
  files.expect_refused("a", ErrorCode::bad_config, "bits");
}

TEST(AwqImport, Hostile) {
  const test::HfFolder good = golden();
  const auto with = [&](const std::string& name, Tensor tensor) {
    test::HfFolder files = good;
    files.tensors[name] = std::move(tensor);
    return files;
  };
  const auto without = [&](const std::string& name) {
    test::HfFolder files = good;
    files.tensors.erase(name);
    return files;
  };
  without("a.qzeros").expect_refused("a", ErrorCode::tensor_missing, "a.qzeros");
  without("a.scales").expect_refused("a", ErrorCode::tensor_missing, "a.scales");
  test::HfFolder orphan = good;
  orphan.tensors["b.scales"] = Tensor(DType::f16, {1, 8});
  orphan.expect_refused("a", ErrorCode::bad_description, "b.scales");
  with("a.weight", Tensor(DType::f16, {8, 8}))
      .expect_refused("a", ErrorCode::bad_description, "a.weight");
  with("a.qweight", Tensor(DType::f32, {8, 1}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qweight");
  with("a.qweight", Tensor(DType::i32, {8}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qweight");
  with("a.qweight", Tensor(DType::i32, {8, 2}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.scales");
  with("a.qweight", Tensor(DType::i32, {0, 1}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qweight");
  with("a.qzeros", Tensor(DType::i32, {2, 1}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qzeros");
  with("a.scales", Tensor(DType::f16, {3, 8}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "G dividing 8");
  with("a.scales", Tensor(DType::i32, {1, 8}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.scales");
  const std::vector<std::uint16_t> nan(8, 0x7E00);
  with("a.scales", Tensor::from<std::uint16_t>(DType::f16, {1, 8}, nan))
      .expect_refused("a", ErrorCode::not_finite, "a.scales");
  test::HfFolder groups = good;
  groups.quantization()["group_size"] = 4;
  groups.expect_refused("a", ErrorCode::bad_description, "group_size is 4");
}

}  // namespace
}  // namespace pare::layout
