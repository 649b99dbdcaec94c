#include "quant/quantized_linear.h"

#include "kernels/quantize.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace pare::quant {
namespace {

/// Asks for huge pages under memory that was reserved and not touched yet: the codes of one large
/// layer are tens of thousands of small pages, and faulting them in costs more than quantizing.
void prefer_huge_pages(const void* data, std::size_t bytes) noexcept {
  constexpr std::uintptr_t kPage = 4096;
  constexpr std::size_t kWorthwhile = std::size_t{8} << 20;
  if (bytes < kWorthwhile) return;
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / kPage * kPage;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // a wish: may be refused
}

}  // namespace

void allocate(QuantizedLinear& q) {
  const bool one_scale = q.scheme.granularity == Granularity::tensor;
  const std::int64_t scales = one_scale ? 1 : q.out * q.scheme.groups(q.in);
  q.scales.assign(static_cast<std::size_t>(scales), 0.0F);
  q.zeros.assign(static_cast<std::size_t>(scales), 0.0F);
  const auto codes = static_cast<std::size_t>(q.out * q.in);
  q.codes.clear();
  q.codes.reserve(codes);
  prefer_huge_pages(q.codes.data(), codes);
  q.codes.resize(codes);
}

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
        kernels::dequantize_row(codes + g * columns, columns, q.scale_at(row, g), q.zero_at(row, g),
                                out.row(row) + g * columns);
      }
    }
  });
}

}  // namespace pare::quant
