// Folding and the search: answers worked out by hand, and inputs that try to break them.
#include "transform/smooth.h"

#include "core/rng.h"
#include "kernels/elementwise.h"
#include "pare/error.h"
#include "transform/alpha_search.h"
#include "transform/channel_stats.h"
#include "transform/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pare::transform {
namespace {

using ::testing::ElementsAre;

Tensor f32(std::vector<float> values, Shape shape) {
  return store_floats(values, DType::f32, std::move(shape));
}

TEST(Smooth, CentresAndMaximaByHand) {
  // Channel 0 runs from -2 to 4: centre 1, 3 away at both ends. Without a shift 4 is the largest.
  const std::vector<float> min = {-2, 5}, max = {4, 5};
  const std::vector<float> centres = channel_centres(min, max);
  EXPECT_THAT(centres, ElementsAre(1, 5));
  EXPECT_THAT(centred_maxima(min, max, centres), ElementsAre(3, 0));
  EXPECT_THAT(centred_maxima(min, max, {}), ElementsAre(4, 5));
}

TEST(Smooth, ColumnMaximaLookAtEveryWeightAndNeverFallBelowTheSmallest) {
  const Tensor a = f32({1, -3, 0}, {1, 3}), b = f32({-2, 0.5F, 0}, {1, 3});
  const std::vector<TensorView> weights = {a.view(), b.view()};
  EXPECT_THAT(column_maxima(Context(2), weights), ElementsAre(2, 3, 1e-5F));
}

TEST(Smooth, ScalesByHand) {
  // alpha 1/2: sqrt(16) / sqrt(4) = 2. A channel that does not move has nothing to scale.
  EXPECT_THAT(smooth_scales(std::vector<float>{16, 0}, std::vector<float>{4, 4}, 0.5F),
              ElementsAre(2, 1));
  EXPECT_THAT(smooth_scales(std::vector<float>{16}, std::vector<float>{4}, 1), ElementsAre(16));
  EXPECT_THAT(smooth_scales(std::vector<float>{16}, std::vector<float>{4}, 0), ElementsAre(0.25F));
}

TEST(Smooth, FoldsByHand) {
  const Tensor norm = f32({8, 1}, {2}), norm_bias = f32({5, 0}, {2});
  const Tensor weight = f32({1, 2, 3, 4}, {2, 2}), bias = f32({10, 20}, {2});
  const NormGroup group{norm.view(), norm_bias.view(), {{weight.view(), bias.view()}}};
  const FoldedGroup folded = fold(Context(2), group, {.shift = {1, -2}, .scale = {4, 0.5F}});
  // 8 / 4 and 1 / 0.5; (5 - 1) / 4 and (0 + 2) / 0.5.
  EXPECT_THAT(read_floats(folded.norm_weight.view()), ElementsAre(2, 2));
  EXPECT_THAT(read_floats(folded.norm_bias->view()), ElementsAre(1, 4));
  // Columns times 4 and 0.5; 10 + 1*1 + 2*(-2) = 7, 20 + 3*1 + 4*(-2) = 15, with the old weight.
  EXPECT_THAT(read_floats(folded.weights[0].view()), ElementsAre(4, 1, 12, 2));
  EXPECT_THAT(read_floats(folded.biases[0]->view()), ElementsAre(7, 15));
}

TEST(Smooth, WithoutAShiftNoBiasAppears) {
  const Tensor norm = f32({8}, {1}), weight = f32({3}, {1, 1});
  const FoldedGroup folded =
      fold(Context(1), {norm.view(), std::nullopt, {{weight.view(), std::nullopt}}},
           {.shift = {}, .scale = {2}});
  EXPECT_FALSE(folded.norm_bias.has_value());
  EXPECT_FALSE(folded.biases[0].has_value());
  EXPECT_THAT(read_floats(folded.norm_weight.view()), ElementsAre(4));
}

TEST(Smooth, TheShiftIsTheOneThatTheStoredBiasStandsFor) {
  // (0 - 1.003) / 1 in bf16 is -1: then the linear gives back 256 * 1, and nothing of its -256 is
  // left. With 1.003 it would be 0.77.
  const Tensor norm = store_floats(std::vector<float>{1}, DType::bf16, {1});
  const Tensor weight = store_floats(std::vector<float>{256}, DType::bf16, {1, 1});
  const Tensor bias = store_floats(std::vector<float>{-256}, DType::bf16, {1});
  const FoldedGroup folded =
      fold(Context(1), {norm.view(), std::nullopt, {{weight.view(), bias.view()}}},
           {.shift = {1.003F}, .scale = {1}});
  EXPECT_EQ(folded.norm_bias->dtype(), DType::bf16);
  EXPECT_EQ(folded.biases[0]->dtype(), DType::bf16);
  EXPECT_THAT(read_floats(folded.biases[0]->view()), ElementsAre(0));
}

TEST(Smooth, AValueThatDoesNotFitItsTypeIsRefused) {
  const Tensor norm = store_floats(std::vector<float>{1}, DType::f16, {1});
  const Tensor weight = store_floats(std::vector<float>{60000}, DType::f16, {1, 1});
  const NormGroup group{norm.view(), std::nullopt, {{weight.view(), std::nullopt}}};
  EXPECT_THROW(fold(Context(1), group, {.shift = {0}, .scale = {2}}), Error);
}

/// A problem of random numbers in which channel 1 is 50 times as large as the others.
struct RandomProblem {
  Matrix x{40, 8};
  Tensor weight{DType::f32, {24, 8}};
  std::vector<float> x_max = std::vector<float>(8, 0.0F);

  explicit RandomProblem(std::uint64_t seed) {
    Rng rng(seed);
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      for (std::size_t c = 0; c < 8; ++c) {
        const double factor = c == 1 ? 50 : 1;
        x.view().row(t)[c] = static_cast<float>(factor * (2 * rng.uniform() - 1));
        x_max[c] = std::max(x_max[c], std::fabs(x.view().row(t)[c]));
      }
    }
    std::vector<float> values(24 * 8);
    for (float& v : values)
      v = static_cast<float>(2 * rng.uniform() - 1);
    weight = f32(values, {24, 8});
  }

  float alpha(const Context& ctx, bool row_by_row, const FakeQuantizeWeight& fake_quantize) const {
    const std::vector<TensorView> weights = {weight.view()};
    const std::vector<float> w_max = column_maxima(ctx, weights);
    return search_alpha(ctx, {x.view(), x_max, w_max, weights, row_by_row}, 10, fake_quantize);
  }
};

const FakeQuantizeWeight kExact = [](const Context&, MatrixView<float>) {};

TEST(AlphaSearch, FlattensActivationsWhenWeightsAreExact) {
  // With nothing lost in the weights the loss is that of activations alone, least where all
  // channels count alike: strength near 1.
  EXPECT_GT(RandomProblem(3).alpha(Context(2), true, kExact), 0.8F);
}

TEST(AlphaSearch, IsTheSameForAnyNumberOfThreads) {
  const RandomProblem problem(4);
  EXPECT_EQ(problem.alpha(Context(1), true, kExact), problem.alpha(Context(3), true, kExact));
  EXPECT_EQ(problem.alpha(Context(1), false, kExact), problem.alpha(Context(3), true, kExact));
}

TEST(AlphaSearch, ConstantChannelsAndZeroColumnsAreNoObstacle) {
  RandomProblem problem(5);
  problem.x_max[2] = 0;
  for (std::int64_t t = 0; t < problem.x.rows(); ++t)
    problem.x.view().row(t)[2] = 0;
  std::vector<float> values = read_floats(problem.weight.view());
  for (std::size_t r = 0; r < 24; ++r)
    values[r * 8 + 3] = 0;
  problem.weight = f32(values, {24, 8});
  bool finite = true;
  bool still = true;  // a constant channel keeps its weights
  const FakeQuantizeWeight watch = [&](const Context&, MatrixView<float> weight) {
    for (std::int64_t r = 0; r < weight.rows; ++r) {
      still = still && weight.row(r)[2] != 0;
      for (const float w : weight.row_span(r))
        finite = finite && std::isfinite(w);
    }
  };
  const float alpha = problem.alpha(Context(1), true, watch);
  EXPECT_TRUE(finite);
  EXPECT_TRUE(still);
  EXPECT_GT(alpha, 0.8F);
}

TEST(AlphaSearch, PiecesShowEveryRowOfEveryWeightOnce) {
  Rng rng(8);
  std::vector<float> values(1300 * 8);
  for (float& v : values)
    v = static_cast<float>(2 * rng.uniform() - 1);
  const Tensor upper = f32({values.begin(), values.begin() + 700 * 8}, {700, 8});
  const Tensor lower = f32({values.begin() + 700 * 8, values.end()}, {600, 8});
  const std::vector<TensorView> weights = {upper.view(), lower.view()};
  const RandomProblem problem(8);
  const std::vector<float> ones(8, 1.0F);  // then t is 1 whatever the strength
  std::vector<float> seen;
  int pieces = 0;
  const FakeQuantizeWeight record = [&](const Context&, MatrixView<float> weight) {
    ++pieces;
    if (seen.size() < values.size()) {
      seen.insert(seen.end(), weight.data, weight.data + weight.rows * weight.cols);
    }
  };
  search_alpha(Context(2), {problem.x.view(), ones, ones, weights, true}, 1, record);
  EXPECT_EQ(seen, values);
  EXPECT_EQ(pieces, 2 * 4);  // two pieces in each of two trials of two grids
}

TEST(AlphaSearch, TheFirstOfEqualsWinsAndOnlyTheSecondGridCounts) {
  // A weight that is lost altogether: every strength loses the same. The first grid gives 0, the
  // second runs from 0 to 1/11 and gives its first again.
  const FakeQuantizeWeight nothing = [](const Context&, MatrixView<float> weight) {
    for (std::int64_t r = 0; r < weight.rows; ++r) {
      for (float& w : weight.row_span(r))
        w = 0;
    }
  };
  EXPECT_EQ(RandomProblem(6).alpha(Context(1), true, nothing), 0);
  // Exact only in the eleven trials of the first grid: it would choose differently from the second,
  // in which the fifth trial alone is exact. 0 + 4 / 10 of 1/11 in f32.
  int trial = -1;  // the product that is held against comes without recovery
  const FakeQuantizeWeight fifth = [&](const Context& ctx, MatrixView<float> weight) {
    ++trial;
    if (trial == 0 || trial == 15) return;
    nothing(ctx, weight);
  };
  const auto end = static_cast<double>(static_cast<float>(1.0 / 11));
  EXPECT_EQ(RandomProblem(6).alpha(Context(1), true, fifth), static_cast<float>(4 * (end / 10)));
}

TEST(NormTap, KeepsRangesOfAllTokensAndRowsEvenlySpaced) {
  NormTap tap("block 0", 5, 2);
  const std::vector<float> first = {1, -1, 2, -2, 3, -3}, second = {4, -4, 9, -9, 100, -100};
  tap.on_input(model::Site::attention_input, 0, {first.data(), 3, 2});
  tap.on_input(model::Site::attention_input, 1,
               {second.data(), 3, 2});  // the last row is one too many
  tap.on_input(model::Site::attention_output, 0, {second.data(), 3, 2});
  const ChannelStats& stats = tap.at(model::Site::attention_input);
  EXPECT_THAT(stats.min, ElementsAre(1, -9));
  EXPECT_THAT(stats.max, ElementsAre(9, -1));
  ASSERT_EQ(stats.rows_kept, 2);  // five tokens, every third
  EXPECT_EQ(stats.kept().row(1)[0], 4);
  EXPECT_EQ(tap.at(model::Site::mlp_input).tokens_seen, 0);
}

TEST(NormTap, RefusesInfinity) {
  NormTap tap("block 7", 1, 1);
  const std::vector<float> x = {1, std::numeric_limits<float>::infinity()};
  EXPECT_THROW(tap.on_input(model::Site::mlp_input, 0, {x.data(), 1, 2}), Error);
}

/// Weights that come from nowhere but the patches.
class NoWeights final : public model::WeightSource {
 public:
  quant::FloatLinear linear(const Context&, const model::Module&) const override { return {}; }
  TensorView tensor(const std::string& name) const override {
    throw Error(ErrorCode::tensor_missing, name);
  }
  bool has(const std::string&) const override { return false; }
  void release(const std::string&) const noexcept override {}
  void release(const model::Module&) const noexcept override {}
};

TEST(SmoothNorm, KeepsTheFunction) {
  Rng rng(9);
  constexpr std::int64_t kChannels = 8, kTokens = 12, kOut = 5;
  const auto random = [&](Shape shape, double centre) {
    std::vector<float> values(static_cast<std::size_t>(shape.numel()));
    for (float& v : values)
      v = static_cast<float>(centre + 2 * rng.uniform() - 1);
    return f32(values, std::move(shape));
  };
  const NoWeights nothing;
  model::PatchedWeights weights(nothing);
  weights.put("n.weight", random({kChannels}, 2));
  weights.put("n.bias", random({kChannels}, 1));
  weights.put("a.weight", random({kOut, kChannels}, 0));
  Matrix x(kTokens, kChannels);
  for (float& v : x.values())
    v = static_cast<float>(2 * rng.uniform() - 1);
  const Context ctx(1);
  const auto run = [&](Matrix& normed) {
    model::apply_norm(ctx, model::load_norm(weights, "n"), 1e-5F, std::as_const(x).view(),
                      normed.view());
    Matrix y(kTokens, kOut);
    const std::vector<float> w = read_floats(weights.tensor("a.weight"));
    kernels::matmul(ctx, std::as_const(normed).view(), {w.data(), kOut, kChannels}, y.view());
    if (weights.has("a.bias"))
      kernels::add_bias(ctx, y.view(), read_floats(weights.tensor("a.bias")));
    return y;
  };
  Matrix normed(kTokens, kChannels), smoothed(kTokens, kChannels);
  const Matrix before = run(normed);
  NormTap tap("block", kTokens, kTokens);
  tap.on_input(model::Site::attention_input, 0, std::as_const(normed).view());
  ScaleGroup group;
  group.producer.name = "n";
  group.consumers.emplace_back().name = "a";
  const quant::Scheme scheme;
  const ParamMap params;
  const TransformJob job{scheme, params, true, kExact};
  const TransformedGroup done =
      transforms().front()->apply(ctx, group, tap.at(model::Site::attention_input), job, weights);
  EXPECT_GT(done.strength, 0);
  const Matrix after = run(smoothed);
  for (std::size_t i = 0; i < before.values().size(); ++i) {
    EXPECT_NEAR(after.values()[i], before.values()[i], 8 * 4 * 1.2e-7 * 8) << i;
  }
  // Every channel is centred now.
  for (std::int64_t c = 0; c < kChannels; ++c) {
    float low = 1e9F, high = -1e9F;
    for (std::int64_t t = 0; t < kTokens; ++t) {
      low = std::min(low, smoothed.view().row(t)[c]);
      high = std::max(high, smoothed.view().row(t)[c]);
    }
    EXPECT_NEAR(low, -high, 1e-4F) << c;
  }
}

}  // namespace
}  // namespace pare::transform
