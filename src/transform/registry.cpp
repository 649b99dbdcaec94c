// The table of transforms, made from transforms.def.
#include "transform/transform.h"

#include <array>

namespace pare::transform {

#define PARE_TRANSFORM(name) extern const Transform transform_##name;
#include "transform/transforms.def"
#undef PARE_TRANSFORM

namespace {

constexpr std::array kTransforms = {
#define PARE_TRANSFORM(name) &transform_##name,
#include "transform/transforms.def"
#undef PARE_TRANSFORM
};

}  // namespace

std::span<const Transform* const> transforms() noexcept { return kTransforms; }

}  // namespace pare::transform
