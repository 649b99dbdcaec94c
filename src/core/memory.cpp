// The heap's setting that makes memory follow its formula.
#include "pare/context.h"

#include <malloc.h>

namespace pare {

void return_freed_memory() noexcept {
#ifdef __GLIBC__
  // Left alone, glibc raises its threshold with every large block freed; later matrices then share
  // one heap whose holes are never returned.
  constexpr int kLargeBuffer = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBuffer);
  mallopt(M_TRIM_THRESHOLD, 4 * kLargeBuffer);
#endif
}

void trim_heap() noexcept {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace pare
