// What every transform must do, on every group it names: keep the function of the model, touch the
// tensors of its group alone, and give the same for any number of threads.
#include "core/rng.h"
#include "model/architecture.h"
#include "model/transformer.h"
#include "pare/error.h"
#include "pare/quantized_linear.h"
#include "support/memory_source.h"
#include "transform/transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pare::transform {
namespace {

using Sequences = std::vector<std::vector<std::int32_t>>;

const Sequences kSamples = {{1, 2, 3, 4, 5, 6, 7}, {9, 8, 7, 30, 31}};

struct Case {
  const Transform* transform = nullptr;
  bool adds_biases = false;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Transform* transform : transforms()) {
    cases.push_back({transform, false});
    cases.push_back({transform, true});
  }
  return cases;
}

/// Rounds a weight to 4 bits a row: what searches compare with.
void coarse(const Context& ctx, MatrixView<float> weight) {
  ctx.parallel_for(weight.rows, [&](std::int64_t r) {
    float largest = 0;
    for (const float v : weight.row_span(r))
      largest = std::max(largest, std::abs(v));
    if (largest == 0) return;
    for (float& v : weight.row_span(r))
      v = std::round(v / largest * 7) * largest / 7;
  });
}

class EveryTransform : public ::testing::TestWithParam<Case> {
 protected:
  EveryTransform() {
    for (const ParamSpec& spec : transform().params) {
      if (spec.name == transform().flag) params_.set(spec, "true", "test");
    }
    params_.fill_defaults(transform().params);
    scheme_.activations = quant::Activations::static_tensor;
  }

  const Transform& transform() const { return *GetParam().transform; }

  /// All groups of all blocks, each with what the float model gives it. Returns the tensors
  /// changed.
  std::set<std::string> apply_all(const Context& ctx, model::PatchedWeights& patched) const {
    std::set<std::string> modules;
    const TransformJob job{scheme_, params_, GetParam().adds_biases, coarse};
    const std::vector<std::int64_t> lengths = {7, 5};
    const SampleSize samples = transform().samples(params_, lengths);
    model::Batch batch = model::embed({&graph_, &float_weights_, kernels::Compute::f32}, kSamples);
    for (std::int64_t i = 0; i < graph_.config.layers; ++i) {
      NormTap tap("block", samples.tokens, samples.rows);
      const model::Block block =
          model::load_block(ctx, graph_, i, float_weights_, kernels::Compute::f32);
      model::forward_block(ctx, graph_.config, block, batch, {.tap = &tap});
      for (const ScaleGroup& group : transform().groups(graph_, i)) {
        modules.insert(group.producer.name);
        for (const model::Module& linear : group.consumers)
          modules.insert(linear.name);
        const TransformedGroup done =
            transform().apply(ctx, group, tap.at(group.site), job, patched);
        EXPECT_EQ(done.producer, group.producer.name);
        EXPECT_TRUE(std::isfinite(done.strength));
      }
    }
    return modules;
  }

  std::vector<float> hidden(const model::WeightSource& weights) const {
    const Context ctx(2);
    const model::Model model{&graph_, &weights, kernels::Compute::f32};
    std::vector<model::Batch> batches{model::embed(model, kSamples)};
    model::forward_streamed(ctx, model, batches, {});
    return batches.front().hidden.values();
  }

  model::ModelGraph graph_ = pare::testing::tiny_graph();
  std::unique_ptr<pare::testing::MemorySource> source_ = pare::testing::random_weights(graph_, 11);
  model::FloatWeights float_weights_{*source_};
  quant::Scheme scheme_;
  ParamMap params_;
};

TEST_P(EveryTransform, KeepsTheFunctionOfTheModel) {
  model::PatchedWeights patched(float_weights_);
  ASSERT_FALSE(apply_all(Context(2), patched).empty());
  const std::vector<float> before = hidden(float_weights_);
  const std::vector<float> after = hidden(patched);
  float largest = 0;
  for (const float v : before)
    largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < before.size(); ++i) {
    ASSERT_NEAR(after[i], before[i], 1e-4F * largest) << i;
  }
}

TEST_P(EveryTransform, ChangesItsGroupAndNothingElse) {
  model::PatchedWeights patched(float_weights_);
  const std::set<std::string> modules = apply_all(Context(2), patched);
  std::size_t changed = 0;
  for (const model::Module& module : graph_.modules) {
    const Tensor* weight = patched.patch(module.weight_name());
    const Tensor* bias = patched.patch(module.bias_name());
    if (!modules.contains(module.name)) {
      EXPECT_EQ(weight, nullptr) << module.name;
      EXPECT_EQ(bias, nullptr) << module.name;
      continue;
    }
    ++changed;
    ASSERT_NE(weight, nullptr) << module.name << " belongs to a group";
    EXPECT_EQ(weight->dtype(), DType::f32);
    EXPECT_EQ(weight->shape(), module.shape);
    const bool added = GetParam().adds_biases && transform().adds_biases;
    EXPECT_EQ(bias != nullptr, added) << module.name;
  }
  EXPECT_EQ(changed, modules.size());
}

TEST_P(EveryTransform, GivesTheSameForAnyThreadCount) {
  model::PatchedWeights one(float_weights_);
  model::PatchedWeights seven(float_weights_);
  apply_all(Context(1), one);
  apply_all(Context(7), seven);
  for (const model::Module& module : graph_.modules) {
    for (const std::string& name : {module.weight_name(), module.bias_name()}) {
      const Tensor* a = one.patch(name);
      const Tensor* b = seven.patch(name);
      ASSERT_EQ(a == nullptr, b == nullptr) << name;
      if (a == nullptr) continue;
      EXPECT_EQ(read_floats(a->view()), read_floats(b->view())) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryTransform, ::testing::ValuesIn(all_cases()),
                         [](const auto& one) {
                           return std::string(one.param.transform->id) +
                                  (one.param.adds_biases ? "_biases" : "_plain");
                         });

TEST(Transforms, DescribeThemselves) {
  std::set<std::string_view> ids;
  for (const Transform* transform : transforms()) {
    EXPECT_TRUE(ids.insert(transform->id).second) << transform->id;
    EXPECT_GT(transform->summary.size(), 10U);
    EXPECT_FALSE(transform->source.empty()) << transform->id << ": who says so?";
    bool has_flag = false;
    for (const ParamSpec& spec : transform->params) {
      has_flag = has_flag || (spec.name == transform->flag && spec.type == ParamType::flag);
    }
    EXPECT_TRUE(has_flag) << transform->id;
  }
}

TEST(Transforms, PlanTheirCost) {
  for (const Transform* transform : transforms()) {
    ParamMap params;
    params.fill_defaults(transform->params);
    const quant::Scheme scheme;
    const TransformJob job{scheme, params, true, coarse};
    const SampleSize samples{.tokens = 1000, .rows = 100};
    const TransformCost small = transform->cost({64, 32, 4096}, samples, job);
    const TransformCost large = transform->cost({640, 320, 409600}, samples, job);
    EXPECT_GE(small.kept, 4096U) << transform->id << ": the changed tensors themselves";
    EXPECT_GT(large.kept, small.kept);
    EXPECT_GE(large.products, small.products);
  }
}

}  // namespace
}  // namespace pare::transform
