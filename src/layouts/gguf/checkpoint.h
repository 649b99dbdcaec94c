// A folder with a GGUF file and a config.json, read back.
#pragma once

#include "layouts/layout.h"

#include <filesystem>
#include <memory>

namespace pare::layout {

/// Errors: those of refuse_unreadable_gguf and GgufSource; bad_description (no quantized linears, a group size that does not
/// fit); tensor_mismatch for an embedding or norm in blocks.
std::unique_ptr<QuantizedCheckpoint> open_gguf(const std::filesystem::path& folder);

}  // namespace pare::layout
