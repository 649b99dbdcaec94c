// Smooths the norms of one decoder block, from statistics to tensors that take the place of the
// source's.
#pragma once

#include "model/weights.h"
#include "transform/alpha_search.h"
#include "transform/channel_stats.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pare::transform {

/// Intervals of each grid of the search, and input rows it looks at.
inline constexpr int kSearchIntervals = 10;
inline constexpr std::int64_t kSearchRows = 1024;

struct SmoothSettings {
  bool shift = true;           // false where a norm bias has no place: scales only
  std::optional<float> alpha;  // given: no search
  bool row_by_row = true;      // see SearchProblem
  FakeQuantizeWeight fake_quantize;             // used by the search only
};

/// What was done to one norm.
struct SmoothedNorm {
  std::string norm;  // module name
  float alpha = 0;
};

/// The norm that a site's linears read, and the linears: module names.
struct SmoothSite {
  std::string norm;
  std::vector<std::string> linears;
};
SmoothSite smooth_site(const model::BlockNames& names, model::Site site);

/// Smooths one norm and puts the folded tensors into `patches`: `norm`.weight and .bias, and weight
/// and bias of every linear. Adds a norm bias and linear biases only when `shift` is set.
/// Errors: out_of_range when a folded value does not fit its type, naming the norm.
SmoothedNorm smooth_norm(const Context& ctx, const SmoothSite& site, const ChannelStats& stats,
                         const SmoothSettings& settings, model::PatchedWeights& patches);

}  // namespace pare::transform
