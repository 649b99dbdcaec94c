// Rotary frequencies and their scalings, against values worked out by hand.
#include "model/rope.h"

#include <cmath>

#include <gtest/gtest.h>

namespace pare::model {
namespace {

TEST(Rope, FrequenciesFallByTheta) {
  // D = 4, theta = 10000: 10000^0 = 1 and 10000^(-1/2) = 0.01.
  const std::vector<float> f = rope_inverse_frequencies({}, 4, 2048, 10);
  ASSERT_EQ(f.size(), 2U);
  EXPECT_FLOAT_EQ(f[0], 1.0F);
  EXPECT_FLOAT_EQ(f[1], 0.01F);
}

TEST(Rope, LinearScalingDivides) {
  const std::vector<float> f =
      rope_inverse_frequencies({.scaling = RopeScaling::linear, .factor = 4}, 4, 2048, 10);
  EXPECT_FLOAT_EQ(f[0], 0.25F);
  EXPECT_FLOAT_EQ(f[1], 0.0025F);
}

TEST(Rope, DynamicScalingIsTheIdentityUpToTheTrainedLength) {
  const RopeConfig rope{.scaling = RopeScaling::dynamic, .factor = 2};
  EXPECT_FLOAT_EQ(rope_inverse_frequencies(rope, 4, 16, 16)[1], 0.01F);
  // s = 32: theta' = 10000 * (2*32/16 - 1)^(4/2) = 90000, whose inverse root is 1/300.
  EXPECT_FLOAT_EQ(rope_inverse_frequencies(rope, 4, 16, 32)[1], 1.0F / 300);
}

TEST(Rope, Llama3KeepsShortWavesAndStretchesLongOnes) {
  const RopeConfig rope{.theta = 500000,
                        .scaling = RopeScaling::llama3,
                        .factor = 8,
                        .low_freq_factor = 1,
                        .high_freq_factor = 4,
                        .original_max_positions = 8192};
  const std::vector<float> plain = rope_inverse_frequencies({.theta = 500000}, 128, 131072, 10);
  const std::vector<float> f = rope_inverse_frequencies(rope, 128, 131072, 10);
  EXPECT_EQ(f.front(), plain.front());                 // wavelength 2 pi < 8192 / 4
  EXPECT_FLOAT_EQ(f.back(), plain.back() / 8);         // wavelength over 8192
  // In between: wavelength w blends with weight (8192 / w - 1) / 3.
  for (std::size_t i = 0; i < f.size(); ++i) {
    const double w = 2 * M_PI / static_cast<double>(plain[i]);
    if (w < 2048 || w > 8192) continue;
    const double s = (8192 / w - 1) / 3;
    const double expected = (1 - s) * static_cast<double>(plain[i]) / 8 + s * static_cast<double>(plain[i]);
    EXPECT_NEAR(static_cast<double>(f[i]), expected, 1e-6 * expected);
  }
}

TEST(Rope, TableStartsAtTheGivenPosition) {
  ModelConfig config;
  config.attention.head_dim = 4;
  config.max_positions = 64;
  const RopeTable whole = make_rope_table(config, 0, 6);
  const RopeTable tail = make_rope_table(config, 4, 2);
  EXPECT_EQ(whole.cos.view().row(5)[1], tail.cos.view().row(1)[1]);
  EXPECT_FLOAT_EQ(whole.sin.view().row(3)[0], static_cast<float>(std::sin(3.0)));
}

}  // namespace
}  // namespace pare::model
