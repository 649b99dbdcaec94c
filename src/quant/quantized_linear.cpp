#include "quant/quantized_linear.h"

#include <algorithm>

#include "kernels/quantize.h"

namespace pare::quant {

void dequantize(const Context& ctx, const QuantizedLinear& q, MatrixView<float> out) {
  const std::int64_t columns = q.scheme.group_columns(q.in);
  const std::int64_t groups = q.scheme.groups(q.in);
  const std::int64_t rows_per_task =
      std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, q.in));
  const std::int64_t tasks = (q.out + rows_per_task - 1) / rows_per_task;
  ctx.parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t end = std::min(q.out, (task + 1) * rows_per_task);
    for (std::int64_t row = task * rows_per_task; row < end; ++row) {
      const std::int8_t* codes = q.codes.data() + row * q.in;
      for (std::int64_t g = 0; g < groups; ++g) {
        kernels::dequantize_row(codes + g * columns, columns, q.scale_at(row, g),
                                q.zero_at(row, g), out.row(row) + g * columns);
      }
    }
  });
}

}  // namespace pare::quant
