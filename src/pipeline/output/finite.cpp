#include "pipeline/output/finite.h"

#include <algorithm>
#include <atomic>

#include "kernels/quantize.h"
#include "pare/error.h"

namespace pare::pipeline {

bool all_finite(const Context& ctx, const TensorView& tensor) {
  if (!is_weight_float(tensor.dtype)) return true;
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  const std::int64_t count = tensor.numel();
  const std::size_t width = size_of(tensor.dtype);
  std::atomic<bool> finite{true};
  ctx.parallel_for((count + kPiece - 1) / kPiece, [&](std::int64_t i) {
    const std::int64_t first = i * kPiece;
    const std::byte* data = tensor.data.data() + static_cast<std::size_t>(first) * width;
    const std::int64_t size = std::min(kPiece, count - first);
    if (!kernels::min_max_bytes(tensor.dtype, data, size).finite) finite = false;
  });
  return finite;
}

void refuse_not_finite(const Context& ctx, const TensorView& tensor) {
  if (all_finite(ctx, tensor)) return;
  throw Error(ErrorCode::not_finite, "the tensor holds NaN or infinity")
      .hint("the checkpoint is damaged or was saved badly; `pare inspect --scan` lists all of them");
}

}  // namespace pare::pipeline
