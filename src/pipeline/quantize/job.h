// A quantization job as the user states it: one table of parameters for flags and recipes alike.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "layouts/layout.h"
#include "pare/job.h"
#include "pare/quantized_linear.h"
#include "quant/method.h"

namespace pare::pipeline {

/// Every parameter a recipe may hold: the job's own, then those of all methods and layouts.
std::span<const ParamSpec> recipe_params();

/// What the parameters mean. Errors: unknown_entry, scheme_not_supported, bad_option_value.
struct QuantSpec {
  quant::Scheme scheme;
  std::string scheme_tag;  // "W8A8"
  const quant::Method* method = nullptr;
  std::vector<const layout::Layout*> layouts;  // at least one, each once

  std::string formats() const;  // "ascend, gptq"
};
QuantSpec read_quant_spec(const ParamMap& params);

/// N of a fallback level "L0", "L5", … Errors: bad_option_value.
std::size_t parse_level(const std::string& level);

/// The parameters that mean something for this method and these formats.
std::vector<ParamSpec> params_of(const QuantSpec& spec);

/// Refuses early what could only fail at the end: no output named, or one that is in the way.
/// Errors: bad_usage, output_exists.
void refuse_existing_output(const Job& job);

/// Parameters that are given but mean nothing for this method or any format are an error, so that a
/// typo in a plan never passes silently. Errors: bad_option_value.
void refuse_foreign_params(const ParamMap& params, const QuantSpec& spec);

}  // namespace pare::pipeline
