// What verbs that run a model share: its arithmetic, and how results name it.
#pragma once

#include "pare/eval.h"
#include "pare/job.h"
#include "verb.h"

#include <array>
#include <chrono>
#include <string>

namespace pare::app {

inline constexpr std::array kComputeParam = {
    ParamSpec{.name = "compute",
              .type = ParamType::choice,
              .default_value = "auto",
              .choices = "auto|f32|bf16",
              .help = "arithmetic of matrix products; auto = f32, the one to judge by"}};

inline constexpr const char* kModelHelp =
    "model folder: a Hugging Face float checkpoint, or what `pare quantize` wrote";

/// "demo/model (llama, float)".
std::string label_of(const Model& model);

using Moment = std::chrono::steady_clock::time_point;
inline Moment now() { return std::chrono::steady_clock::now(); }
double seconds_since(Moment start);

/// What every measurement says about how it was made.
void add_run_facts(Json& object, const Session& session, const Model& model, Moment start);

}  // namespace pare::app
