// Sets int8 weights to zero at random, to see what sparser weights would compress to.
#pragma once

#include "containers/tensor_source.h"
#include "pipeline/pack/compressed_folder.h"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace pare::pipeline {

/// `bytes` times a Bernoulli mask that keeps each weight with probability `sparse.ratio`; nullopt
/// for everything but int8 matrices. The mask depends on the seed and the tensor's name alone.
/// Source: msModelSlim, weight_compression (`do_pseudo_sparse`, `sparse_ratio`).
/// Deviation: the mask is seeded.
std::optional<std::vector<std::byte>> pseudo_sparse(const PseudoSparse& sparse,
                                                    const containers::TensorInfo& info,
                                                    std::span<const std::byte> bytes);

}  // namespace pare::pipeline
