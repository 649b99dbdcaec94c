// The forward pass: independent of batching and threads, equal through the cache, and taps.
#include "model/transformer.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "model/architecture.h"
#include "pare/error.h"
#include "support/memory_source.h"

namespace pare::model {
namespace {

using Sequences = std::vector<std::vector<std::int32_t>>;

struct Tiny {
  ModelGraph graph = testing::tiny_graph();
  std::unique_ptr<testing::MemorySource> source = testing::random_weights(graph, 7);
  FloatWeights weights{*source};
  Model model{&graph, &weights, kernels::Compute::f32};
};

std::vector<float> hidden_of(const Tiny& tiny, const Sequences& sequences, int threads) {
  const Context ctx(threads);
  std::vector<Batch> batches{embed(tiny.model, sequences)};
  forward_streamed(ctx, tiny.model, batches, {});
  return batches.front().hidden.values();
}

TEST(Forward, SequencesInOneBatchDoNotSeeEachOther) {
  const Tiny tiny;
  const std::vector<float> both = hidden_of(tiny, {{1, 2, 3, 4, 5}, {9, 8, 7}}, 1);
  const std::vector<float> first = hidden_of(tiny, {{1, 2, 3, 4, 5}}, 1);
  const std::vector<float> second = hidden_of(tiny, {{9, 8, 7}}, 1);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), both.begin()));
  EXPECT_TRUE(std::equal(second.begin(), second.end(), both.begin() + 5 * 32));
}

/// Makes q, k and v of block 0 come from one tensor, as some checkpoints have them.
void fuse_qkv(Tiny& tiny) {
  std::vector<float> rows;
  for (Module& module : tiny.graph.modules) {
    const bool part = module.block == 0 && module.kind == ModuleKind::linear &&
                      module.site == Site::attention_input;
    if (!part) continue;
    const std::vector<float> own = read_floats(tiny.source->at(module.source).view());
    tiny.source->remove(module.source);
    module.source = "fused.weight";
    module.first_row = static_cast<std::int64_t>(rows.size()) / 32;
    rows.insert(rows.end(), own.begin(), own.end());
  }
  const auto count = static_cast<std::int64_t>(rows.size()) / 32;
  tiny.source->put("fused.weight", store_floats(rows, DType::f32, {count, 32}));
}

TEST(Forward, ModulesMayBeRowsOfATensorThatTheyShare) {
  Tiny fused;
  fuse_qkv(fused);
  EXPECT_NO_THROW(check_tensors(fused.graph, *fused.source));
  const Sequences sequences = {{1, 2, 3, 4, 5}};
  EXPECT_EQ(hidden_of(fused, sequences, 1), hidden_of(Tiny{}, sequences, 1));
  fused.source->put("fused.weight", Tensor(DType::f32, {63, 32}));
  EXPECT_THROW(check_tensors(fused.graph, *fused.source), Error);
}

TEST(Forward, OtherKindsOfBlocksAreRefusedByName) {
  const auto refusal = [](const std::function<void(BlockSpec&)>& change) {
    Tiny tiny;
    change(tiny.graph.spec);
    try {
      load_block(Context(1), tiny.graph, 0, tiny.weights, kernels::Compute::f32);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::feature_not_supported);
      return error.detail();
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal([](BlockSpec&) {}), "accepted");
  EXPECT_EQ(refusal([](BlockSpec& s) { s.norm = NormKind::layer; }),
            "running blocks with LayerNorm");
  EXPECT_NE(refusal([](BlockSpec& s) { s.residual = ResidualOrder::parallel; }), "accepted");
  EXPECT_NE(refusal([](BlockSpec& s) { s.mlp = MlpKind::plain; }), "accepted");
  EXPECT_NE(refusal([](BlockSpec& s) { s.mlp = MlpKind::experts; }), "accepted");
  EXPECT_NE(refusal([](BlockSpec& s) { s.fused_qkv = true; }), "accepted");
}

TEST(Forward, SameBytesForAnyThreadCount) {
  const Tiny tiny;
  const std::vector<float> one = hidden_of(tiny, {{1, 2, 3, 4, 5}, {9, 8, 7}}, 1);
  EXPECT_EQ(one, hidden_of(tiny, {{1, 2, 3, 4, 5}, {9, 8, 7}}, 2));
  EXPECT_EQ(one, hidden_of(tiny, {{1, 2, 3, 4, 5}, {9, 8, 7}}, 7));
}

TEST(Forward, ANormWithABiasOfZerosChangesNoBit) {
  const Tiny plain;
  Tiny zeros;
  for (const Module& module : zeros.graph.modules) {
    if (module.kind != ModuleKind::norm || module.block == kNoBlock) continue;
    zeros.source->put(module.bias_name(), Tensor(DType::f32, {32}));
  }
  const Sequences sequences = {{1, 2, 3, 4, 5}};
  EXPECT_EQ(hidden_of(plain, sequences, 1), hidden_of(zeros, sequences, 1));
}

TEST(Forward, ANormBiasIsWhatTheLinearsBehindItCouldAdd) {
  // x + b reaches the linears: the same as a bias of W b in each of them. Through final norms, too.
  Tiny shifted;
  Tiny folded;
  Rng rng(5);
  const Tensor bias = testing::random_tensor(rng, {32}, 0.5);
  const std::vector<float> b = read_floats(bias.view());
  for (const Module& module : shifted.graph.block(1)) {
    if (module.kind == ModuleKind::norm) shifted.source->put(module.bias_name(), bias);
    const bool behind_norm = module.kind == ModuleKind::linear &&
                             (module.site == Site::attention_input || module.site == Site::mlp_input);
    if (!behind_norm) continue;
    const std::vector<float> weight = read_floats(folded.source->at(module.weight_name()).view());
    std::vector<float> sums(weight.size() / 32);
    for (std::size_t i = 0; i < weight.size(); ++i) sums[i / 32] += weight[i] * b[i % 32];
    folded.source->put(module.bias_name(), store_floats(sums, DType::f32, {module.out()}));
  }
  const Sequences sequences = {{1, 2, 3, 4, 5}};
  const std::vector<float> one = hidden_of(shifted, sequences, 1);
  const std::vector<float> other = hidden_of(folded, sequences, 1);
  EXPECT_NE(one, hidden_of(Tiny{}, sequences, 1));
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], other[i], 2e-5F) << i;
}

TEST(CheckTensors, ANormMayHaveABiasOfItsShape) {
  const Tiny tiny;
  tiny.source->put(tiny.graph.module(Role::final_norm).bias_name(), Tensor(DType::f32, {32}));
  EXPECT_NO_THROW(check_tensors(tiny.graph, *tiny.source));
  tiny.source->put(tiny.graph.module(Role::final_norm).bias_name(), Tensor(DType::f32, {31}));
  EXPECT_THROW(check_tensors(tiny.graph, *tiny.source), Error);
}

TEST(Head, AppliesTheBiasOfTheFinalNorm) {
  const Tiny tiny;
  const Context ctx(1);
  Matrix hidden(1, 32), before(1, 50), after(1, 50);
  hidden.values()[3] = 1;
  Head(ctx, tiny.model).logits(ctx, std::as_const(hidden).view(), before.view());
  tiny.source->put(tiny.graph.module(Role::final_norm).bias_name(),
                   store_floats(std::vector<float>(32, 1.0F), DType::f32, {32}));
  Head(ctx, tiny.model).logits(ctx, std::as_const(hidden).view(), after.view());
  const std::vector<float> weight = read_floats(tiny.source->at(tiny.graph.module(Role::head).weight_name()).view());
  double sum = 0;
  for (std::size_t c = 0; c < 32; ++c) sum += static_cast<double>(weight[c]);
  EXPECT_NEAR(after.values()[0] - before.values()[0], sum, 1e-5);
}

TEST(Forward, LaterTokensDoNotChangeEarlierOnes) {
  const Tiny tiny;
  const std::vector<float> longer = hidden_of(tiny, {{1, 2, 3, 4, 5}}, 1);
  const std::vector<float> shorter = hidden_of(tiny, {{1, 2, 3}}, 1);
  for (std::size_t i = 0; i < shorter.size(); ++i) EXPECT_NEAR(shorter[i], longer[i], 1e-5F);
}

TEST(Forward, TheCacheGivesTheLogitsOfTheWholeSequence) {
  const Tiny tiny;
  const Context ctx(2);
  const std::vector<std::int32_t> ids = {3, 1, 4, 1, 5, 9, 2, 6};
  ResidentModel resident(ctx, tiny.model, 16);
  resident.feed(ctx, std::span(ids).first(5));
  resident.feed(ctx, std::span(ids).subspan(5, 2));
  const std::vector<float> cached = resident.feed(ctx, std::span(ids).last(1));

  std::vector<Batch> batches{embed(tiny.model, std::span(&ids, 1))};
  forward_streamed(ctx, tiny.model, batches, {});
  const Head head(ctx, tiny.model);
  Matrix logits(1, head.vocab_size());
  head.logits(ctx, batches[0].hidden.view().rows_from(7, 1), logits.view());
  for (std::size_t i = 0; i < cached.size(); ++i) {
    EXPECT_NEAR(cached[i], logits.values()[i], 1e-4F);
  }
}

class CountingTap final : public BlockTap {
 public:
  void on_input(Site site, std::int64_t sequence, MatrixView<const float> x) override {
    seen.push_back({site, sequence, x.rows, x.cols});
  }
  struct Seen {
    Site site;
    std::int64_t sequence, rows, cols;
  };
  std::vector<Seen> seen;
};

TEST(Forward, TapsSeeEverySiteOfEverySequenceWhole) {
  const Tiny tiny;
  const Context ctx(2);
  const Block block = load_block(ctx, tiny.graph, 0, tiny.weights, kernels::Compute::f32);
  Batch batch = embed(tiny.model, Sequences{{1, 2, 3}, {4, 5}});
  CountingTap tap;
  forward_block(ctx, tiny.graph.config, block, batch, {.tap = &tap});
  ASSERT_EQ(tap.seen.size(), 8U);  // four sites, two sequences
  EXPECT_EQ(tap.seen[0].rows, 3);
  EXPECT_EQ(tap.seen[1].rows, 2);
  EXPECT_EQ(tap.seen[6].site, Site::mlp_hidden);
  EXPECT_EQ(tap.seen[6].cols, 48);
}

TEST(Forward, RoundedInputsAreRoundedOncePerLinear) {
  const Context ctx(1);
  Linear linear;
  const std::vector<float> identity = {1, 0, 0, 1};
  linear.weight = kernels::PackedWeight(
      ctx, MatrixView<const float>(identity.data(), 2, 2), kernels::Compute::f32);
  linear.activations = quant::Activations::static_tensor;
  linear.input = {.scale = 0.5F, .zero_point = 10};
  const std::vector<float> x = {0.7F, 200.0F};
  Matrix y(1, 2);
  apply_linear(ctx, linear, MatrixView<const float>(x.data(), 1, 2), y.view());
  EXPECT_FLOAT_EQ(y.values()[0], 0.5F);   // 0.7/0.5 = 1.4 -> 1 -> 0.5
  EXPECT_FLOAT_EQ(y.values()[1], 58.5F);  // clamped at 127: (127 - 10) * 0.5
}

TEST(Forward, LinearsThatShareAnInputRoundIt) {
  const Tiny tiny;
  const Context ctx(1);
  Block block = load_block(ctx, tiny.graph, 0, tiny.weights, kernels::Compute::f32);
  // Every input rounds to 0 at this scale: nothing is attended to, the MLP gives 0, x stays as it is.
  for (const Role role : {Role::q, Role::k, Role::v, Role::gate, Role::up}) {
    block.linear(role).activations = quant::Activations::static_tensor;
    block.linear(role).input = {.scale = 1000};
  }
  Batch batch = embed(tiny.model, Sequences{{1, 2, 3, 4, 5, 6}});
  const std::vector<float> before = batch.hidden.values();
  forward_block(ctx, tiny.graph.config, block, batch, {});
  EXPECT_EQ(batch.hidden.values(), before);
}

TEST(Forward, IdsOutsideTheVocabularyAreRefused) {
  const Tiny tiny;
  EXPECT_THROW(embed(tiny.model, Sequences{{1, 50}}), Error);
  EXPECT_THROW(embed(tiny.model, Sequences{{-1}}), Error);
}

ErrorCode check_failure(const Tiny& tiny) {
  try {
    check_tensors(tiny.graph, *tiny.source);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::internal;
}

TEST(CheckTensors, CompleteModelPasses) {
  const Tiny tiny;
  EXPECT_NO_THROW(check_tensors(tiny.graph, *tiny.source));
}

TEST(CheckTensors, MissingWrongAndLeftOverTensorsAreNamed) {
  Tiny missing;
  missing.source->remove("model.layers.1.mlp.up_proj.weight");
  EXPECT_EQ(check_failure(missing), ErrorCode::tensor_missing);
  Tiny wrong;
  wrong.source->put("model.norm.weight", Tensor(DType::f32, {31}));
  EXPECT_EQ(check_failure(wrong), ErrorCode::tensor_mismatch);
  Tiny integers;
  integers.source->put("model.norm.weight", Tensor(DType::i8, {32}));
  EXPECT_EQ(check_failure(integers), ErrorCode::tensor_mismatch);
  Tiny extra;
  extra.source->put("model.layers.2.mlp.up_proj.weight", Tensor(DType::f32, {48, 32}));
  EXPECT_EQ(check_failure(extra), ErrorCode::bad_config);
}

TEST(CheckTensors, RecomputedBuffersAreNoLeftovers) {
  Tiny tiny;
  tiny.source->put("model.layers.0.self_attn.rotary_emb.inv_freq", Tensor(DType::f32, {4}));
  EXPECT_NO_THROW(check_tensors(tiny.graph, *tiny.source));
}

}  // namespace
}  // namespace pare::model
