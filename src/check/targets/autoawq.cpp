// AutoAWQ: what it reads.
#include "check/layouts.h"
#include "check/target.h"

#include <array>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kAwq};

}  // namespace

extern const Target autoawq_target;
constinit const Target autoawq_target = {
    .id = "autoawq",
    .summary = "AutoAWQ: its gemm layout, 4 bits, F16",
    .layouts = kLayouts,
    .source = "AutoAWQ 0.2.9",
};

}  // namespace pare::check
