// Smoothing: norms whose output channels are shifted and scaled, with a strength that is searched.
#include "transform/smooth.h"

#include "pare/error.h"
#include "transform/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace pare::transform {
namespace {

/// Intervals of each grid of the search, and input rows it looks at.
constexpr int kSearchIntervals = 10;
constexpr std::int64_t kSearchRows = 1024;

constexpr std::array kParams = {
    ParamSpec{.name = "do_smooth",
              .type = ParamType::flag,
              .help =
                  "shift and scale the channels of norms so that activations quantize better; the "
                  "linears behind them undo it"},
    ParamSpec{.name = "smooth_samples",
              .type = ParamType::integer,
              .min = 0,
              .max = 1e9,
              .help =
                  "samples that do_smooth looks at: 1 = the first, as msModelSlim does; 0 = all "
                  "(default: all)"},
    ParamSpec{.name = "smooth_alpha",
              .type = ParamType::number,
              .min = 0,
              .max = 1,
              .help = "strength of do_smooth, the same for all norms (default: searched for each)"},
};

void check(const quant::Scheme& scheme, const ParamMap& params) {
  if (!params.flag("do_smooth")) {
    for (const std::string_view name : {"smooth_samples", "smooth_alpha"}) {
      if (!params.given(name)) continue;
      throw Error(ErrorCode::bad_option_value,
                  fmt::format("{} means nothing without do_smooth", name))
          .hint("add --do-smooth, or leave it out");
    }
    return;
  }
  if (scheme.activations == quant::Activations::static_tensor) return;
  throw Error(ErrorCode::scheme_not_supported, fmt::format("do_smooth with {}", scheme.text()))
      .hint("smoothing is for activations with one scale from calibration: w8a8 and w8a8s");
}

SampleSize samples(const ParamMap& params, std::span<const std::int64_t> lengths) {
  const auto asked = static_cast<std::size_t>(params.integer("smooth_samples"));
  const std::size_t count = asked > 0 ? std::min(asked, lengths.size()) : lengths.size();
  SampleSize size;
  for (const std::int64_t length : lengths.first(count))
    size.tokens += length;
  size.rows = count == 1 ? size.tokens : std::min(size.tokens, kSearchRows);
  return size;
}

std::optional<float> given_alpha(const ParamMap& params) {
  if (!params.given("smooth_alpha")) return std::nullopt;
  return static_cast<float>(params.number("smooth_alpha"));
}

bool row_by_row(const quant::Scheme& scheme) noexcept {
  return scheme.granularity != quant::Granularity::tensor;
}

std::optional<TensorView> view_if_there(const model::WeightSource& weights,
                                        const std::string& name) {
  return weights.has(name) ? std::optional(weights.tensor(name)) : std::nullopt;
}

NormGroup read_group(const Context& ctx, const model::WeightSource& weights, const ScaleGroup& of) {
  NormGroup group;
  group.norm_weight = weights.tensor(of.producer.weight_name());
  group.norm_bias = view_if_there(weights, of.producer.bias_name());
  for (const model::Module& linear : of.consumers) {
    group.linears.push_back(weights.linear(ctx, linear));
  }
  return group;
}

std::vector<TensorView> weights_of(const NormGroup& group) {
  std::vector<TensorView> weights;
  for (const quant::FloatLinear& linear : group.linears)
    weights.push_back(linear.weight);
  return weights;
}

Matrix centred(MatrixView<const float> rows, std::span<const float> shift) {
  Matrix out(rows.rows, rows.cols);
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    float* to = std::copy_n(rows.row(r), rows.cols, out.view().row(r)) - rows.cols;
    for (std::size_t c = 0; c < shift.size(); ++c)
      to[c] -= shift[c];
  }
  return out;
}

void put_folded(FoldedGroup folded, const ScaleGroup& group, model::PatchedWeights& patches) {
  patches.put(group.producer.weight_name(), std::move(folded.norm_weight));
  if (folded.norm_bias.has_value()) {
    patches.put(group.producer.bias_name(), std::move(*folded.norm_bias));
  }
  for (std::size_t i = 0; i < group.consumers.size(); ++i) {
    patches.put(group.consumers[i].weight_name(), std::move(folded.weights[i]));
    if (!folded.biases[i].has_value()) continue;
    patches.put(group.consumers[i].bias_name(), std::move(*folded.biases[i]));
  }
}

TransformedGroup apply(const Context& ctx, const ScaleGroup& group, const ChannelStats& stats,
                       const TransformJob& job, model::PatchedWeights& patches) {
  const NormGroup found = read_group(ctx, patches, group);
  const std::vector<TensorView> weights = weights_of(found);
  ChannelMap map;
  if (job.adds_biases) map.shift = channel_centres(stats.min, stats.max);
  const std::vector<float> x_max = centred_maxima(stats.min, stats.max, map.shift);
  const std::vector<float> w_max = column_maxima(ctx, weights);
  const std::optional<float> alpha = given_alpha(job.params);
  TransformedGroup done{.producer = group.producer.name, .strength = alpha.value_or(0.5F)};
  if (!alpha.has_value()) {
    const Matrix rows = centred(stats.kept(), map.shift);
    const SearchProblem problem{rows.view(), x_max, w_max, weights, row_by_row(job.scheme)};
    done.strength = search_alpha(ctx, problem, kSearchIntervals, job.fake_quantize);
  }
  map.scale = smooth_scales(x_max, w_max, done.strength);
  try {
    put_folded(fold(ctx, found, map), group, patches);
  } catch (Error& error) {
    throw error.at(fmt::format("smoothing {} with alpha {:.2f}", done.producer, done.strength));
  }
  return done;
}

/// With the strength that was given, or the middle of those that a search would try.
float largest_input(const Context& ctx, const ScaleGroup& group, const ChannelStats& stats,
                    const TransformJob& job, const model::WeightSource& weights) {
  const std::vector<TensorView> views = weights_of(read_group(ctx, weights, group));
  std::vector<float> shift;
  if (job.adds_biases) shift = channel_centres(stats.min, stats.max);
  const std::vector<float> x_max = centred_maxima(stats.min, stats.max, shift);
  const std::vector<float> scale =
      smooth_scales(x_max, column_maxima(ctx, views), given_alpha(job.params).value_or(0.5F));
  float largest = 0;
  for (std::size_t c = 0; c < scale.size(); ++c)
    largest = std::max(largest, x_max[c] / scale[c]);
  return largest;
}

/// Folded tensors and rows of the norm; in a search also copies of both.
TransformCost cost(const GroupSize& size, const SampleSize& samples, const TransformJob& job) {
  const auto row_bytes = static_cast<std::size_t>(samples.rows * size.in) * sizeof(float);
  TransformCost cost{.kept = size.bytes + row_bytes};
  if (given_alpha(job.params).has_value()) return cost;
  cost.search = row_bytes + search_bytes(samples.rows, size.out, size.in, row_by_row(job.scheme));
  cost.products = static_cast<double>(size.out * size.in) * static_cast<double>(samples.rows) *
                  search_products(kSearchIntervals);
  return cost;
}

}  // namespace

extern const Transform transform_smooth;
constinit const Transform transform_smooth = {
    .id = "smooth",
    .summary = "norms whose channels are shifted and scaled; the linears behind them undo it",
    .source = "docs/smoothing.md; Xiao et al., arXiv:2211.10438",
    .flag = "do_smooth",
    .params = kParams,
    .check = check,
    .groups = norm_groups,
    .samples = samples,
    .apply = apply,
    .largest_input = largest_input,
    .cost = cost,
    .adds_biases = true,
};

}  // namespace pare::transform
