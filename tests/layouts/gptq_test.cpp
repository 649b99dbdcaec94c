// GPTQ's two layouts: the words of a known linear, zeros, act-order, and other people's folders.
#include "layouts/hf/gptq.h"

#include "layouts/hf/bit_words.h"
#include "layouts/scale_rounding.h"
#include "support/hf_folder.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace pare::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::uint32_t> down_words(const std::vector<std::int8_t>& codes, int bits) {
  const StridedCodes<const std::int8_t> grid = {codes.data(),
                                                static_cast<std::int64_t>(codes.size()), 1, 1, 1};
  return test::words_of(pack_down_columns(grid, bits).view());
}

test::HfFolder golden(std::string_view format) {
  return test::HfFolder::of(format, test::one_linear(test::golden_linear()));
}

/// The golden linear without zero points: its v1 word is 0x77777777.
test::HfFolder symmetric(std::string_view format) {
  quant::QuantizedLinear q = test::golden_linear();
  q.scheme.symmetric = true;
  q.zeros.assign(8, 0.0F);
  return test::HfFolder::of(format, test::one_linear(q));
}

/// Fields 1..8, 0 15 8 7 9 6 10 5 and, with 8 bits, 1 2 3 4.
TEST(GptqPacking, NaturalOrder) {
  EXPECT_THAT(down_words({-7, -6, -5, -4, -3, -2, -1, 0}, 4), ElementsAre(0x87654321U));
  EXPECT_THAT(down_words({-8, 7, 0, -1, 1, -2, 2, -3}, 4), ElementsAre(0x5A6978F0U));
  EXPECT_THAT(down_words({-127, -126, -125, -124}, 8), ElementsAre(0x04030201U));
}

TEST(GptqPacking, LargerThanATile) {
  constexpr std::int64_t kRows = 136;
  constexpr std::int64_t kColumns = 72;
  std::vector<std::int8_t> codes(kRows * kColumns);
  for (std::size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<std::int8_t>(i * 7 % 16) - 8;
  const StridedCodes<const std::int8_t> grid = {codes.data(), kRows, kColumns, kColumns, 1};
  std::vector<std::int8_t> found(codes.size());
  const StridedCodes<std::int8_t> to = {found.data(), kRows, kColumns, kColumns, 1};
  const Tensor down = pack_down_columns(grid, 4);
  EXPECT_EQ(down.shape(), (Shape{17, 72}));
  unpack_down_columns(down.view().data, 4, to);
  EXPECT_EQ(found, codes);
  std::fill(found.begin(), found.end(), std::int8_t{0});
  const Tensor along = pack_along_rows(grid, 4, WordOrder::natural);
  EXPECT_EQ(along.shape(), (Shape{136, 9}));
  unpack_along_rows(along.view().data, 4, WordOrder::natural, to);
  EXPECT_EQ(found, codes);
}

TEST(Gptq, GoldenWords) {
  for (const auto& [format, zeros] : {std::pair{"gptq", 0xB2E05867U}, {"gptq-v2", 0xC3F16978U}}) {
    const test::HfFolder files = golden(format);
    EXPECT_EQ(files.tensors.at("a.qweight").shape(), (Shape{1, 8}));
    EXPECT_THAT(test::words_of(files.tensors.at("a.qweight").view()),
                ElementsAre(0x3E94FA50U, 0x61C72D83U, 0x94FA50B6U, 0xC72D83E9U, 0xFA50B61CU,
                            0x2D83E94FU, 0x50B61C72U, 0x83E94FA5U));
    EXPECT_THAT(test::words_of(files.tensors.at("a.qzeros").view()), ElementsAre(zeros));
    EXPECT_THAT(test::words_of(files.tensors.at("a.g_idx").view()), ::testing::Each(0U));
    test::expect_same_linear(test::golden_linear(), files.read("a"), false);
  }
}

TEST(Gptq, SymmetricWords) {
  EXPECT_THAT(test::words_of(symmetric("gptq").tensors.at("a.qzeros").view()),
              ElementsAre(0x77777777U));
  EXPECT_THAT(test::words_of(symmetric("gptq-v2").tensors.at("a.qzeros").view()),
              ElementsAre(0x88888888U));
  const quant::Scheme int8{.weight_bits = 8};
  for (const auto& [format, word] : {std::pair{"gptq", 0x7F7F7F7FU}, {"gptq-v2", 0x80808080U}}) {
    const test::MadeUpModel model = test::made_up_model(
        int8, DType::bf16, {.q_out = 8, .up_out = 16, .linear_dtype = DType::f16});
    const test::HfFolder files = test::HfFolder::of(format, model);
    const std::string name = "model.layers.0.mlp.up_proj";
    EXPECT_EQ(files.tensors.at(name + ".qweight").shape(), (Shape{32, 16}));
    EXPECT_THAT(test::words_of(files.tensors.at(name + ".qzeros").view()), ::testing::Each(word));
    EXPECT_EQ(files.config["quantization_config"]["group_size"], -1);
  }
}

TEST(Gptq, ConfigInBothFiles) {
  const test::MadeUpModel model = test::one_linear(test::golden_linear());
  const test::TemporaryFolder folder;
  const Layout& layout = find_layout("gptq");
  EXPECT_THAT(test::write_model(layout, model, folder.path(), test::defaults_of(layout)),
              ElementsAre("model.safetensors", "quantize_config.json"));
  const io::Json expected = io::parse_json(R"({"bits": 4, "group_size": 8, "desc_act": false,
      "sym": false, "static_groups": false, "true_sequential": true, "damp_percent": 0.01,
      "lm_head": false, "quant_method": "gptq", "checkpoint_format": "gptq",
      "pack_dtype": "int32", "model_name_or_path": null, "model_file_base_name": "model"})",
                                           "expected");
  io::Json found = io::read_json(folder.path() / "quantize_config.json");
  EXPECT_EQ(found, io::read_json(folder.path() / "config.json")["quantization_config"]);
  EXPECT_THAT(found["meta"]["quantizer"][0].get<std::string>(), HasSubstr("pare:"));
  found.erase("meta");
  EXPECT_EQ(found, expected);
}

TEST(Gptq, FloatModulesAreSkippedByRule) {
  test::MadeUpModel model = test::one_linear(test::golden_linear());
  model.add_tensor("m.kept.weight", Tensor(DType::f16, {4, 4}));
  const io::Json patch = io::parse_json(find_layout("gptq-v2").config_patch(model.plan), "patch");
  EXPECT_EQ(patch["quantization_config"]["dynamic"],
            io::parse_json(R"({"-:^m\\.kept$": {}})", "expected"));
  EXPECT_EQ(patch["quantization_config"]["checkpoint_format"], "gptq_v2");
}

/// Column i belongs to group (i / 2) % 2.
quant::QuantizedLinear act_order() {
  quant::QuantizedLinear q = test::golden_linear(4);
  q.zeros = {0, 1, 2, 3, 4, 5, 6, 7, -1, -2, -3, -4, -5, -6, -7, 0};
  q.scales.assign(16, .5F);
  q.scales[1] = 2;
  q.group_index = {0, 0, 1, 1, 0, 0, 1, 1};
  return q;
}

TEST(Gptq, ActOrder) {
  const quant::QuantizedLinear q = act_order();
  for (const std::string_view format : {"gptq", "gptq-v2"}) {
    const test::HfFolder files = test::HfFolder::of(format, test::one_linear(q));
    EXPECT_EQ(files.config["quantization_config"]["desc_act"], true);
    EXPECT_THAT(test::words_of(files.tensors.at("a.g_idx").view()),
                ElementsAre(0, 0, 1, 1, 0, 0, 1, 1));
    const quant::QuantizedLinear found = files.read("a");
    test::expect_same_linear(q, found, false);
    // Codes of row 0 are -8 -3 2 7 -4 1 6 -5; zeros 0 and 1, scales .5 and 2.
    std::vector<float> row(8);
    quant::dequantize_columns(found, 0, 0, 8, row.data());
    EXPECT_THAT(row, ElementsAre(-4, -1.5, 2, 12, -2, .5, 10, -12));
  }
}

TEST(Gptq, RefusesZeroInV1) {
  quant::QuantizedLinear q = test::golden_linear();
  q.zeros[4] = -8;
  EXPECT_NO_THROW(test::HfFolder::of("gptq-v2", test::one_linear(q)));
  try {
    test::HfFolder::of("gptq", test::one_linear(q));
    FAIL() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::scheme_not_supported);
    EXPECT_THAT(error.what(), HasSubstr("row 4, group 0: zero point 0 has no place; 1 to 16"));
    EXPECT_THAT(error.what(), HasSubstr("--> a"));
    EXPECT_THAT(error.hint(), HasSubstr("--refit-zeros"));
  }
  q.zeros[4] = 8;  // Z = 16, which only v1 has a place for
  EXPECT_EQ(test::HfFolder::of("gptq", test::one_linear(q)).read("a").zeros[4], 8);
  EXPECT_THROW(test::HfFolder::of("gptq-v2", test::one_linear(q)), Error);
}

/// Row 4 has u = 12 1 6 11 0 5 10 15, Z = 0, scale 2: weights up to 30. With Z = 1 fourteen steps
/// are left: scale 30 / 14 = 2.142578125 in F16, and codes rint(2 u / scale) + 1.
TEST(Gptq, RefitsGroupsWithoutAPlace) {
  quant::QuantizedLinear q = test::golden_linear();
  q.zeros[4] = -8;
  const quant::QuantizedLinear before = q;
  EXPECT_EQ(refit_zeros(q, -7), 1);
  EXPECT_EQ(q.zeros[4], -7);
  EXPECT_EQ(q.scales[4], 2.142578125F);
  const std::vector<std::int8_t> row(q.codes.begin() + 32, q.codes.begin() + 40);
  EXPECT_THAT(row, ElementsAre(12 - 8, 2 - 8, 7 - 8, 11 - 8, 1 - 8, 6 - 8, 10 - 8, 15 - 8));
  EXPECT_TRUE(std::equal(q.codes.begin(), q.codes.begin() + 32, before.codes.begin()));
  EXPECT_NO_THROW(test::HfFolder::of("gptq", test::one_linear(q)));
  const Layout& layout = find_layout("gptq");
  ParamMap params = test::defaults_of(layout);
  q = before;
  EXPECT_EQ(layout.adapt(q, params), 0) << "only on request";
  params.set(layout.params[1], "true", "test");
  EXPECT_EQ(layout.adapt(q, params), 1);
}

TEST(Gptq, Refusals) {
  const Layout& gptq = find_layout("gptq");
  EXPECT_THAT(gptq.refuses({.granularity = quant::Granularity::tensor}), HasSubstr("mm-tensor"));
  EXPECT_THAT(gptq.refuses({.weight_bits = 3}), HasSubstr("not of 3"));
  EXPECT_NE(gptq.refuses({.activations = quant::Activations::static_tensor}), "");
  const auto check = [&](int bits, std::int64_t out, std::int64_t in) {
    quant::LinearHeader linear;
    linear.name = "odd";
    linear.scheme.weight_bits = bits;
    linear.out = out;
    linear.in = in;
    OutputPlan plan;
    plan.entries.push_back({.linear = linear, .tensor = {}});
    return gptq.check(plan);
  };
  EXPECT_EQ(check(4, 8, 8), "");
  EXPECT_EQ(check(8, 4, 4), "");
  EXPECT_THAT(check(4, 12, 8), HasSubstr("12 outputs"));
  EXPECT_THAT(check(4, 8, 12), HasSubstr("12 inputs"));
  EXPECT_THAT(check(8, 8, 6), HasSubstr("6 inputs"));
}

TEST(GptqImport, LabelOfTheOtherVersion) {
  for (const auto& [format, label, word] :
       {std::tuple{"gptq-v2", "gptq", "0x88888888"}, {"gptq", "gptq_v2", "0x77777777"}}) {
    test::HfFolder files = symmetric(format);
    std::vector<std::string> notes;
    files.read("a", &notes);
    EXPECT_THAT(notes, ElementsAre());
    files.quantization()["checkpoint_format"] = label;
    const quant::QuantizedLinear found = files.read("a", &notes);
    EXPECT_THAT(found.zeros, ::testing::Each(0));
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_THAT(notes[0], HasSubstr(word));
  }
}

TEST(GptqImport, AsymmetricLabelsAreTrusted) {
  test::HfFolder files = golden("gptq");
  files.quantization()["checkpoint_format"] = "gptq_v2";
  const quant::QuantizedLinear found = files.read("a");
  EXPECT_EQ(found.zeros[0], test::golden_linear().zeros[0] - 1);
}

TEST(GptqImport, SymThatIsNone) {
  test::HfFolder files = golden("gptq");
  files.quantization()["sym"] = true;
  std::vector<std::string> notes;
  test::expect_same_linear(test::golden_linear(), files.read("a", &notes), false);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes[0], HasSubstr("sym: true"));
}

/// AutoGPTQ's first files: everything in quantize_config.json, and little of it.
TEST(GptqImport, OldFolders) {
  test::HfFolder files = golden("gptq");
  const test::TemporaryFolder folder;
  files.config = io::Json::object();
  files.tensors.erase("a.g_idx");
  files.write(folder.path());
  io::write_text(folder.path() / "quantize_config.json",
                 R"({"bits": 4, "group_size": 8, "damp_percent": 0.01, "desc_act": false})");
  EXPECT_EQ(layout_of(folder.path())->id, "gptq");
  const auto found = find_layout("gptq").open(folder.path())->linear("a");
  test::expect_same_linear(test::golden_linear(), found->linear, false);
}

TEST(GptqImport, GroupsThatWereNeverFilledIn) {
  quant::QuantizedLinear q = act_order();
  q.group_index.clear();
  test::HfFolder files = test::HfFolder::of("gptq", test::one_linear(q));
  EXPECT_THAT(test::words_of(files.tensors.at("a.g_idx").view()),
              ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  files.tensors["a.g_idx"] = Tensor(DType::i32, {8});
  test::expect_same_linear(q, files.read("a"), false);
}

TEST(GptqImport, RefusesOtherFormats) {
  test::HfFolder files = golden("gptq");
  for (const int bits : {2, 3}) {
    files.quantization()["bits"] = bits;
    files.expect_refused("a", ErrorCode::scheme_not_supported, fmt::format("{} bits", bits));
  }
  files.quantization()["bits"] = 4;
  files.quantization()["checkpoint_format"] = "marlin";
  files.expect_refused("a", ErrorCode::scheme_not_supported, "marlin");
}

TEST(GptqImport, Hostile) {
  const test::HfFolder good = test::HfFolder::of("gptq", test::one_linear(act_order()));
  const auto with = [&](const std::string& name, Tensor tensor) {
    test::HfFolder files = good;
    files.tensors[name] = std::move(tensor);
    return files;
  };
  const auto groups = [&](const std::vector<std::uint32_t>& index) {
    return with("a.g_idx", test::words({8}, index));
  };
  groups({0, 0, 0, 0, 1, 1, 1, 2})
      .expect_refused("a", ErrorCode::bad_description, "column 7 into group 2");
  groups({0, 0, 0, 0, 1, 1, 1, ~0U}).expect_refused("a", ErrorCode::bad_description, "group -1");
  groups({0, 0, 0, 1, 1, 1, 1, 1})
      .expect_refused("a", ErrorCode::bad_description, "group 0 3 columns");
  with("a.g_idx", Tensor(DType::i32, {7}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.g_idx");
  with("a.g_idx", Tensor(DType::i64, {8}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.g_idx");
  with("a.qzeros", Tensor(DType::i32, {1, 1}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qzeros");
  with("a.qzeros", Tensor(DType::i32, {2, 3}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qzeros");
  with("a.qweight", Tensor(DType::i32, {1, 9}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qweight");
  with("a.scales", Tensor(DType::f16, {2, 9}))
      .expect_refused("a", ErrorCode::tensor_mismatch, "a.qzeros");
  const std::vector<float> infinite(16, std::numeric_limits<float>::infinity());
  with("a.scales", Tensor::from<float>(DType::f32, {2, 8}, infinite))
      .expect_refused("a", ErrorCode::not_finite, "a.scales");
  test::HfFolder size = good;
  size.quantization()["group_size"] = 3;
  size.expect_refused("a", ErrorCode::bad_description, "one size");
  size.quantization()["group_size"] = 8;
  size.expect_refused("a", ErrorCode::bad_description, "group_size is 8");
  for (const io::Json& value : {io::Json("x"), io::Json(1.5), io::Json(-2), io::Json(~0ULL)}) {
    size.quantization()["group_size"] = value;
    size.expect_refused("a", ErrorCode::bad_config, "group_size");
  }
  test::HfFolder none = good;
  none.tensors.clear();
  none.tensors["a.weight"] = Tensor(DType::f16, {8, 8});
  none.expect_refused("a", ErrorCode::bad_description, "the weights hold none");
}

/// F16 has 11 bits: 0.1 becomes 0.0999755859375, 2.4e-4 of it away; below 2^-14 bits are lost.
TEST(ScaleRounding, Reports) {
  quant::QuantizedLinear q = test::golden_linear();
  q.scales = {.5F, .1F, 0x1p-15F, 1, 2, 3, 4, 5};
  q.scale_dtype = DType::f32;
  const ScaleRounding rounding = round_scales(q, DType::f16);
  EXPECT_EQ(rounding.scales, 8);
  EXPECT_EQ(rounding.changed, 1);
  EXPECT_EQ(rounding.subnormal, 1);
  EXPECT_NEAR(rounding.worst, 2.4414e-4, 1e-7);
  EXPECT_EQ(q.scales[1], 0.0999755859375F);
  EXPECT_EQ(q.scale_dtype, DType::f16);
  q.scales[0] = 70000;
  EXPECT_THROW(round_scales(q, DType::f16), Error);
  q.scales[0] = 1e-9F;
  EXPECT_THROW(round_scales(q, DType::f16), Error);
}

}  // namespace
}  // namespace pare::layout
