#include "pipeline/quantize/fallback.h"

#include "kernels/quantize.h"
#include "pipeline/quantize/smoothing.h"
#include "pipeline/quantize/source_items.h"
#include "transform/smooth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pare::pipeline {
namespace {

/// Largest magnitude of each input, as it will be once the block is smoothed.
class LargestInputs final : public calib::BlockScorer {
 public:
  LargestInputs(const Context& ctx, const Plan& plan, std::int64_t block, std::int64_t tokens)
      : ctx_(ctx), plan_(plan), block_(block), norms_("a block being ranked", tokens, 1) {}

  void on_input(model::Site site, std::int64_t sequence, MatrixView<const float> x) override {
    norms_.on_input(site, sequence, x);
    float& largest = largest_[static_cast<std::size_t>(site)];
    for (std::int64_t t = 0; t < x.rows; ++t) {
      const kernels::MinMax range = kernels::min_max(x.row_span(t));
      largest = std::max({largest, range.max, -range.min});
    }
  }

  calib::SiteScores result() const override {
    calib::SiteScores scores = largest_;
    for (const model::Site site : smoothed_sites(plan_, block_)) {
      scores[static_cast<std::size_t>(site)] = after_smoothing(site);
    }
    return scores;
  }

 private:
  /// With the strength that was given, or the middle of those that a search would try.
  float after_smoothing(model::Site which) const {
    const model::BlockNames& names = plan_.graph->blocks[static_cast<std::size_t>(block_)];
    std::vector<TensorView> weights;
    for (const std::string& linear : transform::smooth_site(names, which).linears) {
      weights.push_back(plan_.source->read(linear + ".weight"));
    }
    const transform::ChannelStats& stats = norms_.at(which);
    std::vector<float> shift;
    if (smoothing_shifts(plan_)) shift = transform::channel_centres(stats.min, stats.max);
    const std::vector<float> x_max = transform::centred_maxima(stats.min, stats.max, shift);
    const auto alpha = static_cast<float>(plan_.job.params.number("smooth_alpha", 0.5));
    const std::vector<float> scale =
        transform::smooth_scales(x_max, transform::column_maxima(ctx_, weights), alpha);
    float largest = 0;
    for (std::size_t c = 0; c < scale.size(); ++c)
      largest = std::max(largest, x_max[c] / scale[c]);
    return largest;
  }

  const Context& ctx_;
  const Plan& plan_;
  std::int64_t block_;
  transform::NormTap norms_;
  calib::SiteScores largest_{};
};

calib::SensitivityScores largest_inputs(const Context& ctx, const Plan& plan, const model::Model& model) {
  const auto first = std::span(plan.calibration->sequences).first(1);
  const auto tokens = static_cast<std::int64_t>(first.front().size());
  return calib::score_inputs(ctx, model, first, [&](std::int64_t block) {
    return std::make_unique<LargestInputs>(ctx, plan, block, tokens);
  });
}

void keep_highest(Plan& plan, const calib::SensitivityScores& scores, std::size_t level,
                  std::string_view measure) {
  std::vector<calib::ScoredLinear> candidates;
  for (const LinearEntry& linear : plan.linears) {
    if (linear.quantized()) candidates.push_back({linear.name, score_of(scores, linear)});
  }
  const std::vector<std::string> kept = calib::highest_scores(std::move(candidates), level);
  for (LinearEntry& linear : plan.linears) {
    if (std::find(kept.begin(), kept.end(), linear.name) == kept.end()) continue;
    linear.kept_because = fmt::format("disable_level L{} ({} {:.1f})", level, measure,
                                      static_cast<double>(score_of(scores, linear)));
  }
}

}  // namespace

void apply_fallback_level(const Context& ctx, Plan& plan) {
  const std::size_t level = parse_level(plan.job.params.text("disable_level", "L0"));
  if (!plan.calibration.has_value()) {
    if (level > 0) ctx.warning("disable_level needs calibration data and acts like L0 without it");
    return;
  }
  const bool automatic =
      plan.spec.scheme.activations == quant::Activations::static_tensor &&
      plan.job.params.integer("act_method") == static_cast<int>(calib::ActMethod::automatic);
  const bool by_largest = plan.spec.method->level_by_largest_input;
  const model::FloatWeights weights(*plan.source);
  const model::Model model{&*plan.graph, &weights, plan.compute};
  if (automatic || (level > 0 && !by_largest)) {
    plan.scores = calib::rank_inputs(ctx, model, plan.calibration->sequences);
  }
  if (level == 0) return;
  if (!by_largest) return keep_highest(plan, plan.scores, level, "score");
  keep_highest(plan, largest_inputs(ctx, plan, model), level, "largest input");
}

}  // namespace pare::pipeline
