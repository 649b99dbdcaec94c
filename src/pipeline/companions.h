// The files beside the weights: copied, rewritten, or left behind.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/plan.h"

namespace pare::pipeline {

/// Copies tokenizer, generation config, chat templates, code and licence files of the model folder,
/// and writes config.json with what the exporter asks for. Weights, indexes and the quantization
/// files of an earlier run stay behind. Returns the names written.
std::vector<std::string> write_companions(const Plan& plan, const std::filesystem::path& folder);

}  // namespace pare::pipeline
