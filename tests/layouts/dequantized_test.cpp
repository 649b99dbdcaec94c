// Plain float weights out of codes and scales.
#include "support/hf_folder.h"

namespace pare::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor weight_in(DType dtype, quant::QuantizedLinear q) {
  test::MadeUpModel model = test::one_linear(std::move(q));
  model.plan.model_dtype = dtype;
  return test::HfFolder::of("dequantized", model).tensors.at("a.weight");
}

/// Row 0: codes -8 -3 2 7 -4 1 6 -5, zero 0, scale .5. Row 5: zero 7, scale .0625.
TEST(Dequantized, KnownRows) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const Tensor weight = weight_in(dtype, test::golden_linear());
    EXPECT_EQ(weight.dtype(), dtype);
    const std::vector<float> all = read_floats(weight.view());
    EXPECT_THAT(std::vector<float>(all.begin(), all.begin() + 8),
                ElementsAre(-4, -1.5, 1, 3.5, -2, .5, 3, -2.5));
    EXPECT_THAT(std::vector<float>(all.begin() + 40, all.begin() + 48),
                ElementsAre(0, -.6875, -.375, -.0625, -.75, -.4375, -.125, -.8125));
  }
}

TEST(Dequantized, GroupsAndTheirOrder) {
  quant::QuantizedLinear q = test::golden_linear(4);
  q.zeros.assign(16, 0.0F);
  q.scales.assign(16, 1.0F);
  q.scales[1] = 2;
  const auto row = [&] {
    const std::vector<float> all = read_floats(weight_in(DType::f32, q).view());
    return std::vector<float>(all.begin(), all.begin() + 8);
  };
  EXPECT_THAT(row(), ElementsAre(-8, -3, 2, 7, -8, 2, 12, -10));
  q.group_index = {1, 0, 1, 0, 1, 0, 1, 0};
  EXPECT_THAT(row(), ElementsAre(-16, -3, 4, 7, -8, 1, 12, -5));
}

TEST(Dequantized, TwoStagesMultiply) {
  quant::QuantizedLinear q = test::golden_linear(4);
  q.scheme.symmetric = true;
  q.scheme.form = quant::CodeForm::two_stage;
  q.scheme.activations = quant::Activations::dynamic_token;
  q.zeros.assign(16, 0.0F);
  q.scales.assign(16, 3.0F);
  q.row_scales.assign(8, .5F);
  EXPECT_EQ(read_floats(weight_in(DType::f32, q).view())[0], -12);
}

TEST(Dequantized, IsAFloatModelLikeAnyOther) {
  const test::HfFolder files =
      test::HfFolder::of("dequantized", test::one_linear(test::golden_linear()));
  EXPECT_TRUE(files.config.empty());
  const test::TemporaryFolder folder;
  files.write(folder.path());
  EXPECT_EQ(layout_of(folder.path()), nullptr);
  const auto checkpoint = find_layout("dequantized").open(folder.path());
  EXPECT_THAT(checkpoint->tensors(), ElementsAre("a.weight"));
  EXPECT_FALSE(checkpoint->linear("a").has_value());
  EXPECT_THROW(checkpoint->header("a"), Error);
}

TEST(Dequantized, RefusesOverflow) {
  quant::QuantizedLinear q = test::golden_linear();
  q.scales[0] = 10000;
  try {
    weight_in(DType::f16, q);
    FAIL() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_range);
    EXPECT_THAT(error.what(), HasSubstr("--> a"));
  }
}

}  // namespace
}  // namespace pare::layout
