#include "pipeline/output/finite.h"

#include "kernels/quantize.h"
#include "pare/error.h"

#include <algorithm>
#include <atomic>

namespace pare::pipeline {

bool all_finite(const Context& ctx, const TensorView& tensor,
                const std::function<void()>& give_back) {
  if (!is_weight_float(tensor.dtype)) return true;
  constexpr std::int64_t kPiece = std::int64_t{1} << 17;
  const std::int64_t count = tensor.numel();
  const std::size_t width = size_of(tensor.dtype);
  std::atomic<bool> finite{true};
  for (std::int64_t begin = 0; begin < count && finite; begin += kFiniteInHand) {
    const std::int64_t run = std::min(kFiniteInHand, count - begin);
    ctx.parallel_for((run + kPiece - 1) / kPiece, [&](std::int64_t i) {
      const std::int64_t first = begin + i * kPiece;
      const std::byte* data = tensor.data.data() + static_cast<std::size_t>(first) * width;
      const std::int64_t size = std::min(kPiece, begin + run - first);
      if (!kernels::min_max_bytes(tensor.dtype, data, size).finite) finite = false;
    });
    give_back();
  }
  return finite;
}

void refuse_not_finite(const Context& ctx, const TensorView& tensor,
                       const std::function<void()>& give_back) {
  if (all_finite(ctx, tensor, give_back)) return;
  throw Error(ErrorCode::not_finite, "the tensor holds NaN or infinity")
      .hint(
          "the checkpoint is damaged or was saved badly; `pare inspect --scan` lists all of them");
}

}  // namespace pare::pipeline
