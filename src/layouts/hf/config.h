// What the configurations of Hugging Face style layouts say of a plan, and what they cannot say.
#pragma once

#include "io/json.h"
#include "layouts/layout.h"
#include "layouts/quant_config.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// Modules that stay float and could be linears: matrices that are no embeddings, and lm_head.
std::vector<std::string> float_linears(const OutputPlan& plan);

/// Sets the key of the model's type that the source's config.json has ("torch_dtype", "dtype", or
/// both), "torch_dtype" when it has none.
void patch_dtype(io::Json& patch, const OutputPlan& plan, std::string_view dtype);

/// The scheme and shape all linears share; nullptr when the plan has none.
const quant::LinearHeader* first_linear(const OutputPlan& plan) noexcept;

/// "" when all linears share one scheme, else a reason that names two which differ.
std::string refuse_mixed(const OutputPlan& plan);

/// A reason when the model has no config.json: the file says how the output is to be read.
std::string refuse_without_config(const OutputPlan& plan);

/// A layout whose configuration names float modules by parts of their names: a reason when such a
/// name is also part of a quantized one.
std::string refuse_name_overlap(const OutputPlan& plan);

}  // namespace pare::layout
