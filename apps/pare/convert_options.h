// What the verbs that convert share: the options of the target layout, running, and showing it.
#pragma once

#include "pare/job.h"
#include "pipeline/convert/convert.h"
#include "verb.h"

#include <span>

namespace pare::app {

/// The parameters of every layout that can be written, each name once.
std::span<const ParamSpec> layout_params();

/// Refuses parameters that belong to other layouts. Errors: bad_option_value.
void refuse_params_of_others(const ParamMap& params, const layout::Layout& to);

/// Converts, and shows and reports what was done.
int run_conversion(Session& session, const pipeline::ConvertSource& source,
                   const pipeline::ConvertJob& job);

}  // namespace pare::app
