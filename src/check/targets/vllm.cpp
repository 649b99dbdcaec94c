// vLLM: what it reads.
#include "check/layouts.h"
#include "check/target.h"

#include <array>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kFloat, kAwq, kGptq, kCt};

}  // namespace

extern const Target vllm_target;
constinit const Target vllm_target = {
    .id = "vllm",
    .summary = "vLLM on GPUs: fuses q/k/v and gate/up, prefers Marlin kernels",
    .layouts = kLayouts,
    .source =
        "vllm quantization awq, awq_marlin, gptq, gptq_marlin, compressed_tensors; 0.11 to 0.22",
    .derives_kept_modules = true,
    .builds_float_routers = true,
};

}  // namespace pare::check
