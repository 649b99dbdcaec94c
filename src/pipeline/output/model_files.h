// The files beside the weights: copied, or rewritten.
#pragma once

#include "layouts/output_plan.h"
#include "pipeline/open/companions.h"

#include <filesystem>

namespace pare::pipeline {

/// Where the files come from, and what their config.json is to say.
struct ModelFiles {
  std::filesystem::path model;
  const layout::OutputPlan* output = nullptr;
  const Companions* companions = nullptr;
  bool untie_head = false;  // the head became a tensor of its own
};

/// Copies the companions, and writes config.json with what the layout asks for.
/// Errors: output_not_writable, those of config.json.
void write_model_files(const ModelFiles& from, const std::filesystem::path& folder);

}  // namespace pare::pipeline
