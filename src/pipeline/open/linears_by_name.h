// The linears of a model whose architecture is not known, by names and shapes.
#pragma once

#include "containers/tensor_source.h"
#include "model/graph.h"

#include <vector>

namespace pare::pipeline {

/// Float matrices named *.weight whose names do not say that they are embeddings or norms, block by
/// block, heads last. Linears that engines fuse have the site that they would read in a known
/// model; other sites are unknown.
std::vector<model::Module> linears_by_name(const containers::TensorSource& source);

}  // namespace pare::pipeline
