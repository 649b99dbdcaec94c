// What was done, for machines (report.json) and for people (the closing table).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/quantize/quantize.h"

namespace pare::pipeline {

/// report.json of one output as text.
std::string report_json(const Plan& plan, const QuantizeResult& result, std::size_t output);

/// report.json of the folder that holds several outputs: which there are.
std::string outputs_json(const Plan& plan, const QuantizeResult& result);

/// The event that closes a run, as text.
std::string done_json(const Plan& plan, const QuantizeResult& result);

/// Coverage, five worst linears, what was verified, where it is.
std::vector<std::string> closing_table(const Plan& plan, const QuantizeResult& result);

}  // namespace pare::pipeline
