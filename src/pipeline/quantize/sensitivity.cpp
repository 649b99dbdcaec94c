#include "pipeline/quantize/sensitivity.h"

#include "kernels/quantize.h"
#include "pipeline/quantize/inventory.h"
#include "pipeline/quantize/transforms.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pare::pipeline {
namespace {

/// Largest magnitude of each input, as it will be once the block is transformed.
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
    if (block_ < 0) return scores;
    const model::FloatWeights weights(*plan_.source);
    for (const PlannedTransform& planned : plan_.transforms) {
      const transform::TransformJob job = transform_job(plan_, planned);
      for (const transform::ScaleGroup& group : planned.groups[static_cast<std::size_t>(block_)]) {
        scores[static_cast<std::size_t>(group.site)] =
            planned.transform->largest_input(ctx_, group, norms_.at(group.site), job, weights);
      }
    }
    return scores;
  }

 private:
  const Context& ctx_;
  const Plan& plan_;
  std::int64_t block_;
  transform::NormTap norms_;
  calib::SiteScores largest_{};
};

calib::SensitivityScores largest_inputs(const Context& ctx, const Plan& plan,
                                        const model::Model& model) {
  const auto first = std::span(plan.calibration->sequences).first(1);
  const auto tokens = static_cast<std::int64_t>(first.front().size());
  return calib::score_inputs(ctx, model, first, [&](std::int64_t block) {
    return std::make_unique<LargestInputs>(ctx, plan, block, tokens);
  });
}

void keep_highest(Plan& plan, const calib::SensitivityScores& scores, std::size_t level,
                  std::string_view measure) {
  std::vector<calib::ScoredLinear> candidates;
  for (const model::Module& linear : plan.linears.quantized()) {
    candidates.push_back({linear.name, score_of(scores, linear)});
  }
  for (const auto& [name, score] : calib::highest_scores(std::move(candidates), level)) {
    const std::string reason =
        fmt::format("disable_level L{} ({} {:.1f})", level, measure, static_cast<double>(score));
    for (const std::string& member : plan.linears.fused_with(name))
      plan.linears.keep(member, reason);
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
      plan.needs_activation_ranges() &&
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
