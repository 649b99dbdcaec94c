// What the verbs that convert share: running a conversion, and showing it.
#pragma once

#include "pare/convert.h"
#include "verb.h"

namespace pare::app {

/// Converts, and shows what was done.
int run_conversion(Session& session, const Conversion& conversion);

}  // namespace pare::app
