// Quantized weights of other programs, told by their tensors.
#include "layouts/foreign_weights.h"

#include <gtest/gtest.h>

#include <vector>

namespace pare::layout {
namespace {

using Tensors = std::vector<containers::TensorInfo>;

TEST(ForeignWeights, EndingsOfNamesTellTheWriter) {
  EXPECT_EQ(foreign_writer("model.layers.0.mlp.up_proj.W_q"), "HQQ");
  EXPECT_EQ(foreign_writer("a.weight.quant_state.bitsandbytes__nf4"), "bitsandbytes (nf4)");
  EXPECT_EQ(foreign_writer("a.up_proj.biases"), "MLX");
  EXPECT_EQ(foreign_writer("a.up_proj.bias"), "");
  EXPECT_EQ(foreign_writer("a.weight"), "");
  EXPECT_EQ(foreign_writer("a.weight_scale"), "");
}

TEST(ForeignWeights, MatricesOfOtherTypesAreCodes) {
  EXPECT_EQ(foreign_weights(Tensors{{"a.weight", DType::bf16, {4, 4}}, {"a.W_q", DType::u8, {2}}}),
            "HQQ");
  EXPECT_EQ(foreign_weights(Tensors{{"a.weight", DType::f8_e4m3, {4, 4}}}),
            "weights of type F8_E4M3 (a.weight)");
  EXPECT_EQ(foreign_weights(Tensors{{"a.weight", DType::u32, {4, 4}}}),
            "weights of type U32 (a.weight)");
}

TEST(ForeignWeights, FloatsAndBuffersAreNone) {
  EXPECT_EQ(foreign_weights(Tensors{}), "");
  EXPECT_EQ(foreign_weights(Tensors{{"a.weight", DType::f32, {4, 4}},
                                    {"b.weight", DType::f64, {4, 4}},
                                    {"c.weight", DType::i64, {4}},
                                    {"attn.bias", DType::boolean, {1, 1, 8, 8}},
                                    {"position_ids", DType::i64, {1, 8}}}),
            "");
}

}  // namespace
}  // namespace pare::layout
