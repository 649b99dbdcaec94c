// What verbs that run a model share: opening it, its arithmetic, and how results name it.
#pragma once

#include "core/stopwatch.h"
#include "io/json.h"
#include "pare/job.h"
#include "pipeline/open/open_model.h"
#include "verb.h"

#include <string>

namespace pare::app {

inline constexpr ParamSpec kComputeParam{
    .name = "compute",
    .type = ParamType::choice,
    .default_value = "auto",
    .choices = "auto|f32|bf16",
    .help = "arithmetic of matrix products; auto = f32, the one to judge by"};

inline constexpr const char* kModelHelp =
    "model folder: a Hugging Face float checkpoint, or what `pare quantize` wrote";

/// f32 unless `values` say otherwise.
kernels::Compute compute_of(const ParamMap& values);
std::string_view compute_name(kernels::Compute compute) noexcept;

/// "demo/model (llama, float)".
std::string label_of(const pipeline::OpenModel& model);

/// What every measurement says about how it was made.
void add_run_facts(io::Json& object, const Session& session, kernels::Compute compute,
                   const Stopwatch& watch);

}  // namespace pare::app
