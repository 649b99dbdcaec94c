// Sparse linears: no scales of their own on disk, and yet every bit of what they compute comes
// back.
#include "core/rng.h"
#include "io/json.h"
#include "layouts/ascend/math/static_algebra.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "support/made_up_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace pare::layout {
namespace {

using ::testing::HasSubstr;

const quant::Scheme kSparse{.activations = quant::Activations::static_tensor,
                            .form = quant::CodeForm::outliers};
const std::string kLinear = "model.layers.0.self_attn.q_proj";

/// fl(input_scale * fl(deq / input_scale)) must be deq for every product deq.
void expect_recovered(float input_scale, float scale) {
  const float deq = input_scale * scale;
  if (!(deq > 0) || !std::isfinite(deq)) return;
  const std::vector<float> found = weight_scales_of(std::vector<float>{deq}, input_scale);
  const float again = input_scale * found[0];
  ASSERT_EQ(std::bit_cast<std::uint32_t>(again), std::bit_cast<std::uint32_t>(deq))
      << input_scale << " times " << scale;
}

TEST(RecoveredScales, GiveTheProductAgain) {
  Rng rng(11);
  for (int i = 0; i < 200000; ++i) {
    const float input_scale = static_cast<float>(std::exp2(rng.uniform() * 24 - 16));
    const float scale = static_cast<float>(std::exp2(rng.uniform() * 24 - 20));
    expect_recovered(input_scale, scale);
  }
}

TEST(RecoveredScales, AtTheEdgesOfMantissasAndExponents) {
  std::vector<float> edges;
  for (const int exponent : {-149, -130, -126, -125, -64, -1, 0, 1, 20}) {
    const float power = std::ldexp(1.0F, exponent);
    for (const float mantissa : {1.0F, 1.0F + 0x1p-23F, 1.0F + 0x1p-22F, 1.5F, 1.4142135F,
                                 1.4142137F, 2.0F - 0x1p-23F, 2.0F - 0x1p-22F}) {
      edges.push_back(mantissa * power);
    }
  }
  for (const float input_scale : edges) {
    for (const float scale : edges)
      expect_recovered(input_scale, scale);
  }
}

TEST(Sparse, NoScalesOnDisk) {
  const test::MadeUpModel model = test::made_up_model(kSparse, DType::f16);
  for (const std::string_view format : {"ascend", "ascend-v1"}) {
    const Layout& layout = find_layout(format);
    const test::TemporaryFolder folder;
    const auto files = test::write_model(layout, model, folder.path(), test::defaults_of(layout));
    EXPECT_EQ(files[0], "quant_model_weight_w8a8s.safetensors");
    const auto source = containers::open_checkpoint(folder.path() / files[0]);
    for (const char* part :
         {"weight", "bias", "input_scale", "input_offset", "quant_bias", "deq_scale"}) {
      EXPECT_NE(source->find(kLinear + "." + part), nullptr) << part;
    }
    for (const char* part : {"weight_scale", "weight_offset", "weight_power", "scale_bias"}) {
      EXPECT_EQ(source->find(kLinear + "." + part), nullptr) << part;
    }
    EXPECT_EQ(source->find(kLinear + ".deq_scale")->dtype, DType::i64);
    const io::Json description = io::read_json(folder.path() / files[1]);
    EXPECT_EQ(description["model_quant_type"], "W8A8S");
    EXPECT_EQ(description[kLinear + ".deq_scale"], "W8A8S");
    EXPECT_EQ(description[kLinear + ".bias"], "FLOAT");
  }
}

TEST(Sparse, TheEffectiveBiasComesFromTheStoredProducts) {
  const test::MadeUpModel model = test::made_up_model(kSparse, DType::bf16);
  const Layout& layout = find_layout("ascend");
  const test::TemporaryFolder folder;
  test::write_model(layout, model, folder.path(), test::defaults_of(layout));
  const auto stored = layout.open(folder.path())->linear(kLinear);
  const quant::QuantizedLinear& meant = model.linears.at(kLinear);
  const std::vector<float> deq = deq_scales(meant);
  EXPECT_EQ(stored->effective_bias, effective_bias(meant, quant_biases(meant, deq), deq));
}

TEST(Sparse, APowerIsATensorOfItsOwn) {
  test::MadeUpModel model;
  model.plan.scheme_tag = "W8A8S";
  Rng rng(5);
  quant::QuantizedLinear q = test::made_up_linear(rng, "a", kSparse, 4, 8, DType::f32, false);
  q.exponent = 0.7F;
  model.add_linear(q);
  for (const std::string_view format : {"ascend", "ascend-v1"}) {
    const Layout& layout = find_layout(format);
    const test::TemporaryFolder folder;
    const auto files = test::write_model(layout, model, folder.path(), test::defaults_of(layout));
    const auto source = containers::open_checkpoint(folder.path() / files[0]);
    const TensorView power = source->read("a.weight_power");
    EXPECT_EQ(power.dtype, DType::f32);
    EXPECT_EQ(power.shape, Shape{1});
    EXPECT_EQ(read_floats(power), std::vector<float>{0.7F});
    test::expect_same_linear(q, layout.open(folder.path())->linear("a")->linear, false);
  }
  EXPECT_THAT(find_layout("npy").check(model.plan), HasSubstr("power"));
  model.plan.entries[0].linear->has_exponent = false;
  const test::TemporaryFolder folder;
  const Layout& ascend = find_layout("ascend");
  EXPECT_THROW(test::write_model(ascend, model, folder.path(), test::defaults_of(ascend)), Error);
}

TEST(Sparse, NpyWithoutADescription) {
  const test::MadeUpModel model = test::made_up_model(kSparse, DType::f32);
  const Layout& npy = find_layout("npy");
  const test::TemporaryFolder folder;
  const auto files = test::write_model(npy, model, folder.path(), test::defaults_of(npy));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "weight_scale.npy"));
  std::filesystem::remove(folder.path() / files.back());
  const auto checkpoint = npy.open(folder.path());
  ASSERT_EQ(checkpoint->linears().size(), 3U);
  for (const auto& [name, linear] : model.linears) {
    test::expect_same_linear(linear, checkpoint->linear(name)->linear, false);
  }
  EXPECT_EQ(checkpoint->tensors().size(), model.tensors.size());
}

}  // namespace
}  // namespace pare::layout
