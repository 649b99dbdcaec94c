// How many bytes a tensor takes, where its file cannot be trusted.
#include "containers/tensor_source.h"

namespace pare::containers {

std::optional<std::size_t> checked_size(const TensorInfo& info) noexcept {
  std::int64_t count = 1;
  for (const std::int64_t dim : info.shape.dims()) {
    if (__builtin_mul_overflow(count, dim, &count)) return std::nullopt;
  }
  if (!info.foreign) return bytes_of(info.dtype, count);
  // No type has less than a bit an element: counts of elements stay as small as files are.
  const std::int64_t least = count / 8 + (count % 8 == 0 ? 0 : 1);
  const bool enough = static_cast<std::size_t>(least) <= info.foreign->bytes;
  return enough ? std::optional(info.foreign->bytes) : std::nullopt;
}

}  // namespace pare::containers
