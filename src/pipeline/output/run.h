// The one way in which outputs come to be: written, fitted, read back, reported, renamed into
// place.
#pragma once

#include "pipeline/output/run_outputs.h"
#include "pipeline/output/run_plan.h"

#include <filesystem>
#include <functional>

namespace pare::pipeline {

/// Gives every linear and every rewritten tensor of the plan to the outputs.
using Producer = std::function<void(RunOutputs&)>;

/// Writes what is to be said of the run beside its outputs.
using Reporter = std::function<void(const RunResult&, const std::filesystem::path& folder)>;

/// Errors: output_exists, output_not_writable, verify_failed, interrupted, those of the producer.
/// On any error nothing stays on disk.
RunResult run(const Context& ctx, const RunPlan& plan, const Producer& produce,
              const Reporter& report);

}  // namespace pare::pipeline
