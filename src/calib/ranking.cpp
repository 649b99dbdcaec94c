#include "calib/ranking.h"

#include <algorithm>

#include <fmt/format.h>

#include "calib/observer.h"
#include "kernels/elementwise.h"

namespace pare::calib {
namespace {

class ScoreTap final : public model::BlockTap {
 public:
  void on_input(model::Site site, std::int64_t /*sequence*/, MatrixView<const float> x) override {
    scores_[static_cast<std::size_t>(site)].update(x);
  }

  std::array<float, model::kSites.size()> result() const noexcept {
    std::array<float, model::kSites.size()> out{};
    std::transform(scores_.begin(), scores_.end(), out.begin(),
                   [](const RangeScore& score) { return score.score(); });
    return out;
  }

 private:
  std::array<RangeScore, model::kSites.size()> scores_;
};

float head_score(const Context& ctx, const model::Model& model, const model::Batch& batch) {
  const std::vector<float> norm =
      read_floats(model.weights->tensor(model.graph->final_norm + ".weight"));
  RangeScore score;
  std::int64_t row = 0;
  for (const std::int64_t length : batch.lengths) {
    Matrix x(length, batch.hidden.cols());
    kernels::rms_norm(ctx, batch.hidden.view().rows_from(row, length), norm,
                      model.graph->config.rms_norm_eps, x.view());
    score.update(x.view());
    row += length;
  }
  return score.score();
}

}  // namespace

RangeScores rank_inputs(const Context& ctx, const model::Model& model,
                        std::span<const std::vector<std::int32_t>> sequences) {
  model::Batch batch =
      model::embed(model, sequences.first(std::min(sequences.size(), kRankingSamples)));
  RangeScores scores;
  const std::int64_t layers = model.graph->config.layers;
  for (std::int64_t i = 0; i < layers; ++i) {
    ctx.check_cancelled();
    ctx.progress({.stage = "ranking", .item = fmt::format("block {}", i), .done = i,
                  .total = layers, .note = {}});
    const model::Block block =
        model::load_block(ctx, *model.graph, i, *model.weights, model.compute);
    ScoreTap tap;
    model::forward_block(ctx, model.graph->config, block, batch,
                         {.compute = model.compute, .tap = &tap});
    scores.blocks.push_back(tap.result());
  }
  scores.head = head_score(ctx, model, batch);
  return scores;
}

std::vector<std::string> highest_scores(std::vector<ScoredLinear> linears, std::size_t count) {
  std::stable_sort(linears.begin(), linears.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(count, linears.size()); ++i) {
    names.push_back(linears[i].name);
  }
  return names;
}

}  // namespace pare::calib
