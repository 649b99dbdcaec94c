#include "check/layouts/ascend_types.h"

#include <algorithm>
#include <array>

namespace pare::check {
namespace {

constexpr std::array kTypes = {
    AscendType{.name = "W8A8", .is_static = true, .row_scales = false},
    AscendType{
        .name = "W8A8S", .is_static = true, .row_scales = false, .served = Served::only_310p},
    AscendType{.name = "W8A8_MIX", .is_static = true},
    AscendType{.name = "W8A8_DYNAMIC"},
    AscendType{.name = "W8A16"},
    AscendType{.name = "W4A16", .bits = 4, .paired_inputs = true, .served = Served::never},
    AscendType{.name = "W4A8_DYNAMIC", .bits = 4, .served = Served::only_old},
    AscendType{.name = "W4A4_DYNAMIC", .bits = 4},
};

}  // namespace

std::span<const AscendType> ascend_types() noexcept { return kTypes; }

const AscendType* find_ascend_type(std::string_view name) noexcept {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const AscendType& type) { return type.name == name; });
  return found == kTypes.end() ? nullptr : found;
}

}  // namespace pare::check
