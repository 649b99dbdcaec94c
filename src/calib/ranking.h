// Ranks linears by how hard their input is to quantize: who stays in float at a fallback level.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/context.h"
#include "model/transformer.h"

namespace pare::calib {

/// Scores of a block's sites, and of the head's input behind the last block.
struct RangeScores {
  std::vector<std::array<float, model::kSites.size()>> blocks;
  float head = 0;
};

/// The number of samples the ranking looks at, as msModelSlim does.
inline constexpr std::size_t kRankingSamples = 5;

/// Runs the float model over the first samples, block by block.
/// Source: docs/formats/ascend.md, "Fallback level".
RangeScores rank_inputs(const Context& ctx, const model::Model& model,
                        std::span<const std::vector<std::int32_t>> sequences);

/// The first `count` names in falling order of score; equal scores keep their order.
struct ScoredLinear {
  std::string name;
  float score = 0;
};
std::vector<std::string> highest_scores(std::vector<ScoredLinear> linears, std::size_t count);

}  // namespace pare::calib
