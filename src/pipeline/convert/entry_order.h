// The order in which the entries of a source are written.
#pragma once

#include "model/graph.h"
#include "pipeline/output/inventory.h"

#include <optional>
#include <vector>

namespace pare::pipeline {

/// As the modules of `graph` stand, and those it does not know behind them by name, where
/// layers.2 stands before layers.10. A module's bias is its last tensor.
void sort_by_module(std::vector<InventoryEntry>& entries,
                    const std::optional<model::ModelGraph>& graph);

}  // namespace pare::pipeline
