// What was done, for machines (report.json) and for people (the closing table).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/quantize.h"

namespace pare::pipeline {

/// report.json as text.
std::string report_json(const Plan& plan, const QuantizeResult& result);

/// Coverage, five worst linears, what was verified, where it is.
std::vector<std::string> closing_table(const Plan& plan, const QuantizeResult& result);

}  // namespace pare::pipeline
