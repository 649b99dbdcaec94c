// What the two GPTQ layouts share: they differ in how they store zeros, and in nothing else.
// Source: docs/formats/gptq.md
#pragma once

#include "layouts/hf/writer.h"
#include "layouts/layout.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace pare::layout {

/// v1 ("gptq") stores a zero less one, v2 ("gptq_v2") the zero itself.
enum class GptqVersion : std::uint8_t { v1, v2 };

std::string refuse_gptq(const quant::Scheme& scheme);
std::string check_gptq(const OutputPlan& plan);
/// The layout of the tensors. Errors (emit): scheme_not_supported for a zero without a place.
HfLayout gptq_layout(GptqVersion version) noexcept;
std::unique_ptr<Writer> create_gptq(const OutputPlan& plan, GptqVersion version,
                                    const std::filesystem::path& folder, const ParamMap& params);
std::string gptq_config_patch(const OutputPlan& plan, GptqVersion version);

/// Whether the folder says that it is GPTQ of this version.
bool is_gptq(const std::filesystem::path& folder, GptqVersion version) noexcept;
/// Reads either version, whichever the folder holds. When all zeros are the symmetric word of the
/// other version the content counts, not the label, and `notes` says so.
std::unique_ptr<QuantizedCheckpoint> open_gptq(const std::filesystem::path& folder);

/// Quantizes those groups again whose zero is below `lowest` or above the largest code, from the
/// weights that their codes stand for, with the nearest zero that has a place and a scale exact in
/// the linear's type. Returns the number of groups changed.
/// Math: scale = max(max(w) / (last - Z), -min(w) / Z), code = rint(w / scale) + Z, with the range
///       [min, max] widened to hold 0 and Z counted from the lowest code, last = 2^bits - 1.
std::int64_t refit_zeros(quant::QuantizedLinear& q, int lowest);

}  // namespace pare::layout
