#include "transform/smooth_block.h"

#include "core/error.h"
#include "transform/smooth.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare::transform {
namespace {

std::optional<TensorView> view_if_there(const model::WeightSource& weights,
                                        const std::string& name) {
  return weights.has(name) ? std::optional(weights.tensor(name)) : std::nullopt;
}

NormGroup read_group(const model::WeightSource& weights, const SmoothSite& site) {
  NormGroup group;
  group.norm_weight = weights.tensor(site.norm + ".weight");
  group.norm_bias = view_if_there(weights, site.norm + ".bias");
  for (const std::string& module : site.linears) {
    group.linears.push_back(
        {weights.tensor(module + ".weight"), view_if_there(weights, module + ".bias")});
  }
  return group;
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

void put_folded(FoldedGroup folded, const SmoothSite& site, model::PatchedWeights& patches) {
  patches.put(site.norm + ".weight", std::move(folded.norm_weight));
  if (folded.norm_bias.has_value()) patches.put(site.norm + ".bias", std::move(*folded.norm_bias));
  for (std::size_t i = 0; i < site.linears.size(); ++i) {
    FoldedGroup::Linear& linear = folded.linears[i];
    patches.put(site.linears[i] + ".weight", std::move(linear.weight));
    if (linear.bias.has_value()) patches.put(site.linears[i] + ".bias", std::move(*linear.bias));
  }
}

}  // namespace

SmoothSite smooth_site(const model::BlockNames& names, model::Site site) {
  SmoothSite found;
  found.norm = site == model::Site::attention_input ? names.input_norm : names.mlp_norm;
  for (const model::LinearRole role : model::kLinearRoles) {
    if (model::site_of(role) == site) found.linears.push_back(names.linear(role));
  }
  return found;
}

SmoothedNorm smooth_norm(const Context& ctx, const SmoothSite& site, const ChannelStats& stats,
                         const SmoothSettings& settings, model::PatchedWeights& patches) {
  const NormGroup group = read_group(patches, site);
  std::vector<TensorView> weights;
  for (const NormGroup::Linear& linear : group.linears)
    weights.push_back(linear.weight);
  ChannelMap map;
  if (settings.shift) map.shift = channel_centres(stats.min, stats.max);
  const std::vector<float> x_max = centred_maxima(stats.min, stats.max, map.shift);
  const std::vector<float> w_max = column_maxima(ctx, weights);
  SmoothedNorm done{.norm = site.norm, .alpha = settings.alpha.value_or(0.5F)};
  if (!settings.alpha.has_value()) {
    const Matrix rows = centred(stats.kept(), map.shift);
    const SearchProblem problem{rows.view(), x_max, w_max, weights, settings.row_by_row};
    done.alpha = search_alpha(ctx, problem, kSearchIntervals, settings.fake_quantize);
  }
  map.scale = smooth_scales(x_max, w_max, done.alpha);
  try {
    put_folded(fold(ctx, group, map), site, patches);
  } catch (Error& error) {
    throw error.at(fmt::format("smoothing {} with alpha {:.2f}", site.norm, done.alpha));
  }
  return done;
}

}  // namespace pare::transform
