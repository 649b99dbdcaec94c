// What a run makes, and from what.
#pragma once

#include "pare/job.h"
#include "pipeline/open/companions.h"
#include "pipeline/output/inventory.h"

#include <filesystem>
#include <span>

namespace pare::pipeline {

/// Holds references; their owner outlives the run.
struct RunPlan {
  std::filesystem::path out;
  bool overwrite = false;
  std::filesystem::path model;  // config.json, tokenizer and other files come from here
  const Companions* companions = nullptr;
  bool untie_head = false;      // the head became a tensor of its own
  std::span<const layout::OutputPlan> outputs;
  const ParamMap* params = nullptr;  // of the layouts; defaults filled in
  FloatSource floats;                // what copied tensors are read from
};

}  // namespace pare::pipeline
