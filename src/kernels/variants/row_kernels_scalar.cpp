// Row loops for any CPU.
#include "core/half.h"
#include "kernels/variants/row_kernels.h"

#include <cstddef>
#include <cstdint>

namespace pare::kernels::detail {
namespace {

void widen_f16(const void* x, float* y, std::int64_t n) {
  const char* bytes = static_cast<const char*>(x);
  for (std::int64_t i = 0; i < n; ++i) {
    F16 value;
    __builtin_memcpy(&value.bits, bytes + 2 * i, sizeof value.bits);
    y[i] = to_float(value);
  }
}

#include "kernels/variants/row_kernels.inc"

}  // namespace

const RowKernels kRowsScalar = kTable;

}  // namespace pare::kernels::detail
