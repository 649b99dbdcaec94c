// How encoded tiles get into the payload.
#pragma once

#include "pare/tensor.h"

#include <cstddef>
#include <span>

namespace pare::codec::detail {

enum class Caches {
  fill,  // somebody reads the bytes soon
  pass   // they are more than the caches hold: writing around them saves reading the old contents
};

/// `bytes` to the end of `payload`, where room is best reserved.
void append(RawBytes& payload, std::span<const std::byte> bytes, Caches caches);

}  // namespace pare::codec::detail
