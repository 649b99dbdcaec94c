// Float tensors that smoothing makes: written from memory, and held against the files afterwards.
#pragma once

#include "model/weights.h"
#include "pipeline/quantize.h"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace pare::pipeline {

/// Writes the made tensors of one block, and notes them and the biases of its smoothed linears.
void put_made_tensors(const Context& ctx, const Plan& plan, std::int64_t block,
                      const model::PatchedWeights& patches, export_::ExportWriter& writer,
                      std::vector<WrittenTensor>& made);

/// Reads the output folder back: every noted tensor is there with the values that were meant.
/// Errors: verify_failed, naming the tensor.
void verify_made(const Plan& plan, const std::vector<WrittenTensor>& made,
                 const std::filesystem::path& folder);

}  // namespace pare::pipeline
