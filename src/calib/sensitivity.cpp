#include "calib/sensitivity.h"

#include "calib/batches.h"
#include "calib/observer.h"

#include <fmt/format.h>

#include <algorithm>

namespace pare::calib {
namespace {

class RangeScorer final : public BlockScorer {
 public:
  void on_input(model::Site site, std::int64_t /*sequence*/, MatrixView<const float> x) override {
    scores_[static_cast<std::size_t>(site)].update(x);
  }

  SiteScores result() const override {
    SiteScores out{};
    std::transform(scores_.begin(), scores_.end(), out.begin(),
                   [](const RangeScore& score) { return score.score(); });
    return out;
  }

 private:
  std::array<RangeScore, model::kSites.size()> scores_;
};

}  // namespace

SensitivityScores score_inputs(const Context& ctx, const model::Model& model,
                               std::span<const std::vector<std::int32_t>> sequences,
                               const ScorerMaker& make_scorer) {
  std::vector<model::Batch> batches;
  for (const BatchRange& range : batch_ranges(sequences))
    batches.push_back(model::embed(model, sequences.subspan(range.first, range.count)));
  model::Workspace workspace;
  SensitivityScores scores;
  const std::int64_t layers = model.graph->config.layers;
  for (std::int64_t i = 0; i < layers; ++i) {
    ctx.check_cancelled();
    ctx.progress({.stage = "ranking",
                  .item = fmt::format("block {}", i),
                  .done = i,
                  .total = layers,
                  .note = {}});
    const model::Block block =
        model::load_block(ctx, *model.graph, i, *model.weights, model.compute);
    const std::unique_ptr<BlockScorer> scorer = make_scorer(i);
    for (model::Batch& batch : batches) {
      model::forward_block(ctx, model.graph->config, block, batch,
                           {.compute = model.compute, .tap = scorer.get()}, workspace);
    }
    scores.blocks.push_back(scorer->result());
  }
  const std::unique_ptr<BlockScorer> scorer = make_scorer(-1);
  for (const model::Batch& batch : batches)
    model::tap_head(ctx, model, batch, *scorer);
  scores.head = scorer->result()[static_cast<std::size_t>(model::Site::attention_input)];
  return scores;
}

SensitivityScores rank_inputs(const Context& ctx, const model::Model& model,
                              std::span<const std::vector<std::int32_t>> sequences) {
  return score_inputs(ctx, model, sequences.first(std::min(sequences.size(), kRankingSamples)),
                      [](std::int64_t) { return std::make_unique<RangeScorer>(); });
}

std::vector<ScoredLinear> highest_scores(std::vector<ScoredLinear> linears, std::size_t count) {
  std::stable_sort(linears.begin(), linears.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  linears.resize(std::min(count, linears.size()));
  return linears;
}

}  // namespace pare::calib
