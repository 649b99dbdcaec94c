// Two stages of scales: the correction of 4-bit kernels worked out by hand, what lies on disk, and
// what is refused.
#include "io/json.h"
#include "layouts/ascend/math/scale_bias.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "support/made_up_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace pare::layout {
namespace {

using ::testing::HasSubstr;

const quant::Scheme kTwoStage{.weight_bits = 4,
                              .granularity = quant::Granularity::group,
                              .group_size = 32,
                              .activations = quant::Activations::dynamic_token,
                              .form = quant::CodeForm::two_stage};
const std::string kAttention = "model.layers.0.self_attn.";

/// [2, 32] in groups of 16: codes of a row are 1 in the first group and 2 in the second.
quant::QuantizedLinear by_hand() {
  quant::QuantizedLinear q;
  q.name = "a";
  q.scheme = kTwoStage;
  q.scheme.group_size = 16;
  q.out = 2;
  q.in = 32;
  for (int row = 0; row < 2; ++row) {
    q.codes.insert(q.codes.end(), 16, 1);
    q.codes.insert(q.codes.end(), 16, row == 0 ? 2 : -2);
  }
  q.scales = {3, 5, 7, 11};
  q.zeros.assign(4, 0);
  q.row_scales = {0.5F, 0.25F};
  return q;
}

TEST(ScaleBias, OneSumPerRow) {
  // 8 * (16 * 1 * 3 + 16 * 2 * 5) * 0.5 = 832; 8 * (16 * 7 - 16 * 2 * 11) * 0.25 = -480.
  EXPECT_EQ(scale_biases(by_hand(), scale_bias_runs(false)), (std::vector<float>{832, -480}));
}

TEST(ScaleBias, SixteenRunsOfInputsWhereDevicesSplitThem) {
  // Runs of two inputs: 8 * 2 * 1 * 3 * 0.5 = 24 in the first group, 8 * 2 * 2 * 5 * 0.5 = 80 in
  // the second; in row 1: 28 and -88.
  std::vector<float> expected;
  for (const float value : {24.0F, 80.0F, 28.0F, -88.0F})
    expected.insert(expected.end(), 8, value);
  EXPECT_EQ(scale_biases(by_hand(), scale_bias_runs(true)), expected);
}

TEST(ScaleBias, TooLargeForF32) {
  quant::QuantizedLinear q = by_hand();
  q.row_scales[1] = 3e38F;
  EXPECT_THROW(scale_biases(q, 1), Error);
}

/// A model written with one layout, its tensors by name.
struct Written {
  explicit Written(std::string_view format, const test::MadeUpModel& model)
      : layout(find_layout(format)) {
    const auto files = test::write_model(layout, model, folder.path(), test::defaults_of(layout));
    source = containers::open_checkpoint(folder.path() / files[0]);
    description = io::read_json(folder.path() / files[1]);
  }

  const Layout& layout;
  test::TemporaryFolder folder;
  std::unique_ptr<containers::TensorSource> source;
  io::Json description;
};

void expect_tensors(const containers::TensorSource& source, const std::string& module,
                    const std::map<std::string, std::pair<DType, Shape>>& expected) {
  for (const auto& [part, what] : expected) {
    const containers::TensorInfo* info = source.find(module + part);
    ASSERT_NE(info, nullptr) << module << part;
    EXPECT_EQ(info->dtype, what.first) << module << part;
    EXPECT_EQ(info->shape, what.second) << module << part << " " << info->shape.text();
  }
}

TEST(TwoStage, UnpackedWithoutCorrection) {
  const Written written("ascend", test::made_up_model(kTwoStage, DType::bf16));
  expect_tensors(*written.source, kAttention + "q_proj.",
                 {{"weight", {DType::i8, {6, 64}}},
                  {"bias", {DType::bf16, {6}}},
                  {"weight_scale", {DType::f32, {6, 1}}},
                  {"weight_offset", {DType::f32, {6, 1}}},
                  {"weight_scale_second", {DType::f32, {6, 2}}},
                  {"weight_offset_second", {DType::i64, {6, 2}}}});
  EXPECT_EQ(written.source->find(kAttention + "q_proj.scale_bias"), nullptr);
  EXPECT_EQ(written.description["model_quant_type"], "W4A8_DYNAMIC");
  EXPECT_EQ(written.description[kAttention + "q_proj.weight_scale_second"], "W4A8_DYNAMIC");
}

TEST(TwoStage, PackedByPairsOfOutputsWithCorrectionByRole) {
  const test::MadeUpModel model = test::made_up_model(kTwoStage, DType::f16);
  const Written written("ascend-v1", model);
  expect_tensors(*written.source, kAttention,
                 {{"q_proj.weight", {DType::i8, {3, 64}}},
                  {"q_proj.scale_bias", {DType::f32, {6, 1}}},
                  {"o_proj.weight", {DType::i8, {32, 64}}},
                  {"o_proj.scale_bias", {DType::f32, {64, 16}}}});
  EXPECT_EQ(written.description["group_size"], 32);
  EXPECT_EQ(written.description[kAttention + "o_proj.scale_bias"], "W4A8_DYNAMIC");
  const quant::QuantizedLinear& o = model.linears.at(kAttention + "o_proj");
  EXPECT_EQ(read_floats(written.source->read(kAttention + "o_proj.scale_bias")),
            scale_biases(o, 16));
  const auto stored = written.layout.open(written.folder.path())->linear(o.name);
  EXPECT_EQ(stored->scale_bias, scale_biases(o, 16));
}

TEST(TwoStage, AGroupAsWideAsTheRow) {
  quant::Scheme scheme = kTwoStage;
  scheme.group_size = 64;
  Rng rng(3);
  for (const std::string_view format : {"ascend", "ascend-v1"}) {
    test::MadeUpModel model;
    model.plan.scheme_tag = "W4A8_DYNAMIC";
    model.plan.group_size = 64;
    model.add_linear(test::made_up_linear(rng, "a", scheme, 4, 64, DType::f32, false));
    const Written written(format, model);
    const std::int64_t rows = format == "ascend" ? 4 : 2;
    EXPECT_EQ(written.source->find("a.weight")->shape, (Shape{rows, 64}));
    const auto checkpoint = written.layout.open(written.folder.path());
    test::expect_same_linear(model.linears.at("a"), checkpoint->linear("a")->linear, false);
  }
}

OutputPlan plan_of(const quant::Scheme& scheme, std::int64_t out, std::int64_t in,
                   bool row_parallel) {
  OutputPlan plan;
  plan.scheme_tag = "W4A8_DYNAMIC";
  quant::LinearHeader linear;
  linear.name = "model.o_proj";
  linear.scheme = scheme;
  linear.out = out;
  linear.in = in;
  linear.row_parallel = row_parallel;
  plan.entries.push_back({.linear = linear, .tensor = {}});
  return plan;
}

TEST(TwoStage, RefusedWhenPlanned) {
  const Layout& v1 = find_layout("ascend-v1");
  EXPECT_THAT(find_layout("npy").refuses(kTwoStage), HasSubstr("second stage"));
  quant::Scheme channel = kTwoStage;
  channel.granularity = quant::Granularity::channel;
  channel.group_size = 0;
  EXPECT_THAT(v1.refuses(channel), HasSubstr("--group-size"));
  quant::Scheme asymmetric = kTwoStage;
  asymmetric.symmetric = false;
  EXPECT_THAT(v1.refuses(asymmetric), HasSubstr("symmetric"));
  quant::Scheme narrow = kTwoStage;
  narrow.group_size = 8;
  EXPECT_THAT(v1.check(plan_of(narrow, 4, 24, true)), HasSubstr("24 inputs, which 16"));
  EXPECT_EQ(v1.check(plan_of(narrow, 4, 24, false)), "");
  EXPECT_EQ(find_layout("ascend").check(plan_of(narrow, 4, 24, true)), "");
  EXPECT_THAT(v1.check(plan_of(kTwoStage, 3, 32, false)), HasSubstr("3 outputs"));
  EXPECT_EQ(find_layout("ascend").check(plan_of(kTwoStage, 3, 32, false)), "");
}

}  // namespace
}  // namespace pare::layout
