// The key-values of a GGUF file that describe the model; the tokenizer's are in gguf_tokenizer.h.
// Source: docs/formats/gguf.md
#pragma once

#include "containers/gguf/writer.h"
#include "layouts/gguf/model.h"
#include "layouts/layout.h"

#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// Columns that share a scale, 0 = a whole row: blocks of 32 repeat it. Keys of Pare, which others
/// pass over.
inline constexpr std::string_view kGroupSizeKey = "pare.group_size";

/// The key for one tensor that differs from the rest.
std::string group_size_key(std::string_view gguf_tensor);

/// Architecture, sizes, rotary embedding, type of the file, groups.
void add_model_keys(const OutputPlan& plan, const GgufModel& model,
                    containers::GgufMetadata& metadata);

/// The type of a linear's blocks. The scheme must be one that GGUF files hold.
containers::GgufType gguf_type_of(const quant::Scheme& scheme) noexcept;

/// The factors of the rotary frequencies [D/2]; empty when there are none to write.
std::vector<float> rotary_factors(const GgufModel& model);

/// What llama.cpp does otherwise than the model's own code; one line each.
std::vector<std::string> model_notes(const GgufModel& model);

}  // namespace pare::layout
