// Float tensors that smoothing makes: written from memory, and held against the files afterwards.
#pragma once

#include "model/weights.h"
#include "pipeline/output/output_writers.h"
#include "pipeline/quantize/quantize.h"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace pare::pipeline {

/// Writes the made tensors of one block to every output, and notes in its result those and the
/// biases of the block's smoothed linears.
void put_made_tensors(const Context& ctx, const Plan& plan, std::int64_t block,
                      const model::PatchedWeights& patches, OutputWriters& writers,
                      std::vector<OutputResult>& results);

/// Reads the folder of an output back: every noted tensor is there with the values that were meant.
/// Errors: verify_failed, naming the tensor.
void verify_made(const Output& output, const std::vector<WrittenTensor>& made,
                 const std::filesystem::path& folder);

}  // namespace pare::pipeline
