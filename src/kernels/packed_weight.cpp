// A weight laid out in panels of 32 outputs, slab after slab of its depth.
#include "kernels/buffer.h"
#include "kernels/gemm.h"
#include "kernels/isa.h"
#include "pare/error.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace pare::kernels {
namespace {

using detail::Engine;
using detail::kPanelOuts;

std::int64_t panels_of(std::int64_t out) noexcept { return (out + kPanelOuts - 1) / kPanelOuts; }

/// Every slab but the last has slab_k of depth; the last is rounded up to whole tiles.
std::size_t bytes_of(const Engine& engine, std::int64_t out, std::int64_t in) noexcept {
  return static_cast<std::size_t>(panels_of(out) * detail::b_panel_bytes(engine, in));
}

/// Calls fn(first output, outputs, first k, depth, destination) for every panel of every slab.
template <typename Fn>
void for_panels(const Context& ctx, const Engine& engine, std::int64_t out, std::int64_t in,
                std::byte* data, const Fn& fn) {
  const std::int64_t panels = panels_of(out);
  ctx.parallel_for(panels, [&](std::int64_t panel) {
    std::byte* slab = data;
    for (std::int64_t k0 = 0; k0 < in; k0 += engine.slab_k) {
      const std::int64_t depth = std::min(engine.slab_k, in - k0);
      const std::int64_t bytes = detail::b_panel_bytes(engine, depth);
      const std::int64_t first = panel * kPanelOuts;
      fn(first, std::min(kPanelOuts, out - first), k0, depth, slab + panel * bytes);
      slab += panels * bytes;
    }
  });
}

// Rows of the stage are not a power of two apart, or they would share one cache set.
constexpr std::int64_t kStageDepth = 512;
constexpr std::int64_t kStageStride = kStageDepth + 16;

void widen_row(const detail::RowKernels& rows, DType dtype, const std::byte* from, float* to,
               std::int64_t count) noexcept {
  if (dtype == DType::bf16) return rows.widen_bf16(from, to, count);
  if (dtype == DType::f16) return rows.widen_f16(from, to, count);
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

}  // namespace

void PackedWeight::Free::operator()(std::byte* p) const noexcept { std::free(p); }

std::size_t PackedWeight::bytes() const noexcept { return bytes_; }

std::size_t packed_bytes(std::int64_t out, std::int64_t in, Compute compute) {
  return bytes_of(detail::engine_for(compute, current_isa()), out, in);
}

PackedWeight::PackedWeight(const Context& ctx, const TensorView& weight, Compute compute)
    : compute_(compute), isa_(current_isa()) {
  const bool usable =
      weight.shape.rank() == 2 && is_weight_float(weight.dtype) &&
      static_cast<std::size_t>(weight.numel()) * size_of(weight.dtype) == weight.data.size();
  if (!usable) {
    throw Error(ErrorCode::tensor_mismatch,
                "a weight to multiply with must be [O, I] of F32, F16 or BF16, not " +
                    weight.shape.text() + " " + std::string(name_of(weight.dtype)));
  }
  out_ = weight.shape[0];
  in_ = weight.shape[1];
  const Engine& engine = detail::engine_for(compute_, isa_);
  static_assert(kStageDepth >= 512);
  bytes_ = bytes_of(engine, out_, in_);
  data_.reset(detail::allocate_aligned(bytes_));
  const detail::RowKernels& rows = detail::row_kernels();
  const std::size_t width = size_of(weight.dtype);
  for_panels(ctx, engine, out_, in_, data_.get(),
             [&](std::int64_t first, std::int64_t outs, std::int64_t k0, std::int64_t depth,
                 std::byte* to) {
               alignas(64) std::array<float, kPanelOuts * kStageStride> stage;
               for (std::int64_t o = 0; o < outs; ++o) {
                 const std::size_t at = static_cast<std::size_t>((first + o) * in_ + k0) * width;
                 widen_row(rows, weight.dtype, weight.data.data() + at,
                           stage.data() + o * kStageStride, depth);
               }
               engine.pack_b(stage.data(), kStageStride, outs, depth, to);
             });
}

PackedWeight::PackedWeight(const Context& ctx, MatrixView<const float> weight, Compute compute)
    : PackedWeight(ctx, weight, compute, current_isa()) {}

PackedWeight::PackedWeight(const Context& ctx, MatrixView<const float> weight, Compute compute,
                           Isa isa)
    : out_(weight.rows), in_(weight.cols), compute_(compute), isa_(isa) {
  const Engine& engine = detail::engine_for(compute_, isa_);
  bytes_ = bytes_of(engine, out_, in_);
  data_.reset(detail::allocate_aligned(bytes_));
  for_panels(ctx, engine, out_, in_, data_.get(),
             [&](std::int64_t first, std::int64_t outs, std::int64_t k0, std::int64_t depth,
                 std::byte* to) {
               engine.pack_b(weight.row(first) + k0, weight.stride, outs, depth, to);
             });
}

}  // namespace pare::kernels
