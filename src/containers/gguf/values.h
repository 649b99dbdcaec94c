// The key-values of a GGUF header, read one after the other.
#pragma once

#include "containers/gguf/cursor.h"

#include <cstdint>

namespace pare::containers {

/// Errors: bad_gguf for anything that does not fit into the file, an unknown type, a key given
/// twice; feature_not_supported for nested arrays.
void read_gguf_values(GgufCursor& cursor, std::uint64_t count, GgufHeader& header);

}  // namespace pare::containers
