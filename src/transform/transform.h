// A transform changes the float weights of a block so that they, or what they read, quantize
// better, and keeps the function of the model. One file in transforms/ and one line in
// transforms.def each.
#pragma once

#include "model/weights.h"
#include "pare/context.h"
#include "pare/job.h"
#include "pare/quantized_linear.h"
#include "transform/alpha_search.h"
#include "transform/channel_stats.h"
#include "transform/scale_groups.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::transform {

/// What a transform is told of the run that it is part of.
struct TransformJob {
  const quant::Scheme& scheme;
  const ParamMap& params;
  bool adds_biases = false;          // every output has a place for biases of norms
  FakeQuantizeWeight fake_quantize;  // what the method makes of a weight
};

/// How much of the calibration data a transform looks at.
struct SampleSize {
  std::int64_t tokens = 0;  // the first so many
  std::int64_t rows = 0;    // of them that are kept
};

/// What was done to one group.
struct TransformedGroup {
  std::string producer;  // module name
  float strength = 0;
};

/// The linears of a group as one matrix, and its bytes in the source.
struct GroupSize {
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::size_t bytes = 0;
};

struct TransformCost {
  std::size_t kept = 0;    // bytes until the block is done
  std::size_t search = 0;  // bytes while the group is worked on
  double products = 0;     // multiply-adds
};

struct Transform {
  std::string_view id;
  std::string_view summary;
  std::string_view source;            // paper, or the page that describes it
  std::string_view flag;              // the parameter that asks for it
  std::span<const ParamSpec> params;  // that one, and those that go with it
  /// Errors: scheme_not_supported, bad_option_value.
  void (*check)(const quant::Scheme& scheme, const ParamMap& params);
  std::vector<ScaleGroup> (*groups)(const model::ModelGraph& graph, std::int64_t block);
  SampleSize (*samples)(const ParamMap& params, std::span<const std::int64_t> lengths);
  /// Changes a group: the tensors of its modules, and no others, are put into `patches`. Biases are
  /// added only when the job allows it.
  /// Errors: out_of_range when a value does not fit its type, naming the group.
  /// Threads: the same bytes for any number.
  TransformedGroup (*apply)(const Context& ctx, const ScaleGroup& group, const ChannelStats& stats,
                            const TransformJob& job, model::PatchedWeights& patches);
  /// Largest input of the group's linears afterwards, without a search: for rankings.
  float (*largest_input)(const Context& ctx, const ScaleGroup& group, const ChannelStats& stats,
                         const TransformJob& job, const model::WeightSource& weights);
  TransformCost (*cost)(const GroupSize& size, const SampleSize& samples, const TransformJob& job);
  /// Gives norms and linears biases where the job allows it; then every one of its modules has one.
  bool adds_biases = false;
};

std::span<const Transform* const> transforms() noexcept;

}  // namespace pare::transform
