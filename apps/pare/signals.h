// Ctrl-C: the first asks the operation to stop and clean up, the second kills at once.
#pragma once

#include "pare/context.h"

namespace pare::app {

/// While it lives, SIGINT and SIGTERM cancel `ctx`. One at a time.
class CancelOnSignal {
 public:
  explicit CancelOnSignal(Context& ctx);
  ~CancelOnSignal();
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;
};

}  // namespace pare::app
