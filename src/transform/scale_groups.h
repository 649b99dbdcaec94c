// Which modules can pass a factor of a channel on to each other: read from the list of modules.
#pragma once

#include "model/graph.h"

#include <vector>

namespace pare::transform {

/// What writes channels, and every linear that reads them: a factor taken from the one and given to
/// the others leaves the function of the model as it is.
struct ScaleGroup {
  model::Module producer;
  std::vector<model::Module> consumers;  // in the order of the model
  model::Site site = model::Site::attention_input;
};

/// The norms of a block with the linears behind them.
std::vector<ScaleGroup> norm_groups(const model::ModelGraph& graph, std::int64_t block);

}  // namespace pare::transform
