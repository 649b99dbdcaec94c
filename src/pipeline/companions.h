// The files beside the weights: copied, rewritten, or left behind.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/plan.h"

namespace pare::pipeline {

/// Where companions come from, and what their config.json is to say.
struct Companions {
  std::filesystem::path model;
  const export_::Exporter* exporter = nullptr;
  const export_::ExportPlan* output = nullptr;
  bool untie_head = false;  // the head became a tensor of its own
};

/// Copies tokenizer, generation config, chat templates, code and licence files of the model folder,
/// and writes config.json with what the exporter asks for. Weights, indexes and the quantization
/// files of an earlier run stay behind. Returns the names written.
std::vector<std::string> write_companions(const Companions& from,
                                          const std::filesystem::path& folder);
std::vector<std::string> write_companions(const Plan& plan, const Output& output,
                                          const std::filesystem::path& folder);

}  // namespace pare::pipeline
