// Ranks linears by how hard their input is to quantize: who stays in float at a fallback level.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/transformer.h"
#include "pare/context.h"

namespace pare::calib {

using SiteScores = std::array<float, model::kSites.size()>;

/// Scores of a block's sites, and of the head's input behind the last block.
struct SensitivityScores {
  std::vector<SiteScores> blocks;
  float head = 0;
};

/// Sees the inputs of one block and scores its sites.
class BlockScorer : public model::BlockTap {
 public:
  virtual SiteScores result() const = 0;
};
/// A scorer for block 0, 1, …; for -1 one whose Site::attention_input is the head's input.
using ScorerMaker = std::function<std::unique_ptr<BlockScorer>(std::int64_t block)>;

/// Runs the float model over all of `sequences`, block by block.
SensitivityScores score_inputs(const Context& ctx, const model::Model& model,
                         std::span<const std::vector<std::int32_t>> sequences,
                         const ScorerMaker& make_scorer);

/// The number of samples the ranking looks at, as msModelSlim does.
inline constexpr std::size_t kRankingSamples = 5;

/// How hard each input is to quantize, by its range, over the first samples.
/// Source: docs/formats/ascend.md, "Fallback level".
SensitivityScores rank_inputs(const Context& ctx, const model::Model& model,
                        std::span<const std::vector<std::int32_t>> sequences);

/// The first `count` in falling order of score; equal scores keep their order.
using ScoredLinear = std::pair<std::string, float>;
std::vector<ScoredLinear> highest_scores(std::vector<ScoredLinear> linears, std::size_t count);

}  // namespace pare::calib
