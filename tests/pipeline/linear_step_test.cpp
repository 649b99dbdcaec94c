// Activation parameters and the name-based listing of linears.
#include "pipeline/quantize/linear_step.h"

#include <cmath>

#include <gtest/gtest.h>

#include "pare/error.h"
#include "pipeline/open/linears_by_name.h"
#include "pipeline/output/content.h"
#include "support/memory_source.h"

namespace pare::pipeline {
namespace {

TEST(ActivationParams, EqualTheReferenceInF32) {
  // (-1, 3) on 8 bits: scale 4/255, zero -1/(4/255) = 63.75 -> 64, minus 128.
  const quant::ActivationParams p = activation_params({-1, 3}, DType::f32);
  EXPECT_EQ(p.scale, 4.0F / 255);
  EXPECT_EQ(p.zero_point, -64);
}

TEST(ActivationParams, PositiveRangesReachDownToZero) {
  const quant::ActivationParams p = activation_params({0.5F, 3}, DType::f32);
  EXPECT_EQ(p.scale, 3.0F / 255);
  EXPECT_EQ(p.zero_point, -128);
}

TEST(ActivationParams, AreExactInTheTypeTheyAreStoredIn) {
  const quant::ActivationParams p = activation_params({-1.7F, 2.9F}, DType::bf16);
  EXPECT_EQ(round_through(p.scale, DType::bf16), p.scale);
  EXPECT_EQ(round_through(p.zero_point, DType::bf16), p.zero_point);
  EXPECT_GE(p.zero_point, -128);
  EXPECT_LE(p.zero_point, 127);
}

TEST(ActivationParams, AScaleThatDoesNotFitItsTypeIsRefused) {
  EXPECT_THROW(activation_params({-3e38F, 3e38F}, DType::f16), Error);
}

TEST(LinearsByName, TakesMatricesAndLeavesEmbeddingsNormsAndVectors) {
  testing::MemorySource source;
  source.put("transformer.wte.weight", Tensor(DType::f32, {10, 4}));
  source.put("transformer.h.10.attn.dense.weight", Tensor(DType::f32, {4, 4}));
  source.put("transformer.h.2.attn.dense.weight", Tensor(DType::f32, {4, 4}));
  source.put("transformer.h.2.attn.dense.bias", Tensor(DType::f32, {4}));
  source.put("transformer.h.2.ln_1.weight", Tensor(DType::f32, {4}));
  source.put("a_head.lm_head.weight", Tensor(DType::f32, {10, 4}));
  source.put("transformer.h.2.table.weight", Tensor(DType::i32, {4, 4}));
  const std::vector<model::Module> linears = linears_by_name(source);
  ASSERT_EQ(linears.size(), 3U);
  EXPECT_EQ(linears[0].name, "transformer.h.2.attn.dense");  // by block number, not by letters
  EXPECT_EQ(linears[1].name, "transformer.h.10.attn.dense");
  EXPECT_EQ(linears[2].name, "a_head.lm_head");               // heads count as last
}

TEST(ContentHash, SeesEveryPart) {
  quant::QuantizedLinear q;
  q.codes = {1, 2};
  q.scales = {0.5F};
  q.zeros = {0};
  const std::uint64_t before = content_hash(q);
  q.codes[1] = 3;
  EXPECT_NE(content_hash(q), before);
  q.codes[1] = 2;
  EXPECT_EQ(content_hash(q), before);
  q.scales[0] = std::nextafter(0.5F, 1.0F);
  EXPECT_NE(content_hash(q), before);
}

}  // namespace
}  // namespace pare::pipeline
