// MindIE: what it reads.
#include "check/layouts.h"
#include "check/target.h"

#include <array>

namespace pare::check {
namespace {

constexpr std::array kLayouts = {kFloat, kAscend};

}  // namespace

extern const Target mindie_target;
constinit const Target mindie_target = {
    .id = "mindie",
    .summary = "MindIE on NPUs: config.json has the key \"quantize\", file names the type",
    .layouts = kLayouts,
    .source = "msmodelslim 3de0a3c, its examples for MindIE",
};

}  // namespace pare::check
