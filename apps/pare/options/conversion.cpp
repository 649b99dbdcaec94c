#include "options/conversion.h"

#include <fmt/format.h>
#include <malloc.h>

#include <string>

namespace pare::app {
namespace {

/// Linears take and give back the same few large blocks, over and over. Kept by the allocator, they
/// need not be mapped, cleared and unmapped each time, which took half of the processor's time.
void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kLarge = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
#endif
}

}  // namespace

int run_conversion(Session& session, const Conversion& conversion) {
  keep_freed_memory();
  session.console.result(fmt::format("{} ({}) -> {}", conversion.folder().string(),
                                     conversion.from(), conversion.to()));
  const ConvertReport report = conversion.run(session.ctx);
  session.console.end_progress();
  for (const std::string& line : report.lines)
    session.console.result(line);
  return 0;
}

}  // namespace pare::app
