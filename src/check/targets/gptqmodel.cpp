// GPTQModel: what it reads.
#include "check/layouts.h"
#include "check/target.h"

#include <array>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kAwq, kGptq};

}  // namespace

extern const Target gptqmodel_target;
constinit const Target gptqmodel_target = {
    .id = "gptqmodel",
    .summary = "GPTQModel: GPTQ in both versions, and AWQ",
    .layouts = kLayouts,
    .source = "GPTQModel 7.3.4",
    .builds_float_routers = true,
};

}  // namespace pare::check
