// Row loops with AVX2.
#include "kernels/variants/row_kernels.h"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace pare::kernels::detail {
namespace {

void widen_f16(const void* x, float* y, std::int64_t n) {
  const char* bytes = static_cast<const char*>(x);
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 2 * i));
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(half));
  }
  for (; i < n; ++i) {
    std::uint16_t half;
    __builtin_memcpy(&half, bytes + 2 * i, sizeof half);
    y[i] = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
  }
}

#include "kernels/variants/row_kernels.inc"

}  // namespace

const RowKernels kRowsAvx2 = kTable;

}  // namespace pare::kernels::detail
