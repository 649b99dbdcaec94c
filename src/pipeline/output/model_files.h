// The files beside the weights: copied, rewritten, or left behind.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "layouts/output_plan.h"

namespace pare::pipeline {

/// Where the files come from, and what their config.json is to say.
struct ModelFiles {
  std::filesystem::path model;
  const layout::OutputPlan* output = nullptr;
  bool untie_head = false;  // the head became a tensor of its own
};

/// Copies tokenizer, generation config, chat templates, code and licence files of the model folder,
/// and writes config.json with what the layout asks for. Weights, indexes and the quantization
/// files of an earlier run stay behind. Returns the names written.
std::vector<std::string> write_model_files(const ModelFiles& from,
                                           const std::filesystem::path& folder);

}  // namespace pare::pipeline
