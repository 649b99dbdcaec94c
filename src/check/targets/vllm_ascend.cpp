// vLLM-Ascend: what it reads.
#include "check/layouts.h"
#include "check/target.h"

#include <array>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kFloat, kAscendV1, kCt};

}  // namespace

extern const Target vllm_ascend_target;
constinit const Target vllm_ascend_target = {
    .id = "vllm-ascend",
    .summary = "vLLM-Ascend on NPUs: finds quant_model_description.json",
    .layouts = kLayouts,
    .source = "vllm-ascend main 182b75e, tags v0.9.1 to v0.25.1rc1",
    .builds_float_routers = true,
};

}  // namespace pare::check
