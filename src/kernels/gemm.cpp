// Products cut into blocks of the output that keep their sums in the second-level cache. Neither
// the order of additions within an output nor the slabs of k depend on the blocks, so any cut and
// any number of threads gives the same bytes.
#include "kernels/gemm.h"

#include "kernels/buffer.h"
#include "kernels/isa.h"
#include "pare/error.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace pare::kernels {

using detail::Engine;
using detail::kPanelOuts;

struct PackedInput::Impl {
  const Engine* engine = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  detail::Buffer buffer;
};

struct InputAccess {
  using Impl = PackedInput::Impl;
  static const Impl& get(const PackedInput& x) noexcept { return *x.impl_; }
};

namespace {

constexpr std::int64_t kFewRows = 4;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

/// With few rows the product is bound by reading W; tiles of 16 rows would bring nothing.
const Engine& engine_for_rows(Compute compute, Isa isa, std::int64_t rows) noexcept {
  const bool few = rows <= kFewRows && isa == Isa::amx;
  return detail::engine_for(compute, few ? Isa::avx512bf16 : isa);
}

void require(bool ok, const char* what, std::int64_t a, std::int64_t b) {
  if (ok) return;
  throw Error(ErrorCode::internal, std::string("matrix product of unequal sizes: ") + what + " " +
                                       std::to_string(a) + " against " + std::to_string(b));
}

/// One product: operands in panels, and the cut of the output into blocks.
struct Product {
  const Engine& engine;  // of the left side and the slab function
  std::int64_t b_slab;   // depth of a slab of the packed weight
  const std::byte* a;
  const std::byte* b;
  std::int64_t rows, outs, depth;
  MatrixView<float> y;
  Output output;
  std::int64_t block_rows = 0;    // panels of rows in a block
  std::int64_t block_panels = 0;  // panels of outputs in a block

  std::int64_t row_panels() const noexcept { return ceil_div(rows, engine.row_panel); }
  std::int64_t out_panels() const noexcept { return ceil_div(outs, kPanelOuts); }
  std::int64_t row_blocks() const noexcept { return ceil_div(row_panels(), block_rows); }
  std::int64_t blocks() const noexcept {
    return row_blocks() * ceil_div(out_panels(), block_panels);
  }

  /// Smaller blocks when there would be too few to share out among the threads.
  void cut(int threads) noexcept {
    block_rows = std::min(engine.block_row_panels, row_panels());
    block_panels = std::min(engine.block_out_panels, out_panels());
    const std::int64_t wanted = threads > 1 ? 4 * threads : 1;
    while (blocks() < wanted && block_panels > 2)
      block_panels = ceil_div(block_panels, 2);
    while (blocks() < wanted && block_rows > 2)
      block_rows = ceil_div(block_rows, 2);
  }

  void run_block(std::int64_t index) const {
    const std::int64_t first_row_panel = index % row_blocks() * block_rows;
    const std::int64_t first_panel = index / row_blocks() * block_panels;
    const std::int64_t panels = std::min(block_panels, out_panels() - first_panel);
    const std::int64_t end_row_panel = std::min(row_panels(), first_row_panel + block_rows);
    const std::int64_t first_row = first_row_panel * engine.row_panel;
    const std::int64_t row_count = std::min(rows, end_row_panel * engine.row_panel) - first_row;
    thread_local detail::Buffer scratch;
    // Not a power of two between rows of C.
    const std::int64_t ldc = panels * kPanelOuts + 16;
    float* c = scratch.floats((end_row_panel - first_row_panel) * engine.row_panel * ldc);
    detail::SlabJob job;
    job.rows = row_count;
    job.b_panels = panels;
    job.c = c;
    job.ldc = ldc;
    const std::byte* a_slab = a;
    const std::byte* b_slab_at = b;
    for (std::int64_t k0 = 0; k0 < depth; k0 += b_slab) {
      job.k = std::min(b_slab, depth - k0);
      job.a_panel_bytes = detail::a_panel_bytes(engine, job.k);
      job.b_panel_bytes = detail::b_panel_bytes(engine, job.k);
      job.a = a_slab + first_row_panel * job.a_panel_bytes;
      job.b = b_slab_at + first_panel * job.b_panel_bytes;
      a_slab += row_panels() * job.a_panel_bytes;
      b_slab_at += out_panels() * job.b_panel_bytes;
      const std::int64_t next_k = std::max<std::int64_t>(0, std::min(b_slab, depth - k0 - job.k));
      const std::int64_t next_a = detail::a_panel_bytes(engine, next_k);
      const std::int64_t next_b = detail::b_panel_bytes(engine, next_k);
      job.next_a = reinterpret_cast<const char*>(a_slab + first_row_panel * next_a);
      job.next_a_bytes = (end_row_panel - first_row_panel) * next_a;
      job.next_b = reinterpret_cast<const char*>(b_slab_at + first_panel * next_b);
      job.next_b_bytes = panels * next_b;
      job.first = k0 == 0;
      engine.slab(&job);
    }
    write_block(c, ldc, first_row, row_count, first_panel * kPanelOuts);
  }

  void write_block(const float* c, std::int64_t ldc, std::int64_t first_row, std::int64_t row_count,
                   std::int64_t first_out) const {
    const std::int64_t width = std::min(outs - first_out, ldc - 16);
    const detail::RowKernels& row_kernels = detail::row_kernels();
    for (std::int64_t r = 0; r < row_count; ++r) {
      float* to = y.row(first_row + r) + first_out;
      if (output == Output::add) {
        row_kernels.add(to, c + r * ldc, width);
      } else {
        std::memcpy(to, c + r * ldc, static_cast<std::size_t>(width) * sizeof(float));
      }
    }
  }
};

void clear(MatrixView<float> y) {
  for (std::int64_t r = 0; r < y.rows; ++r)
    std::fill_n(y.row(r), y.cols, 0.0F);
}

/// Rows packed at a time by the simple product, to bound the memory it holds.
std::int64_t rows_at_once(Compute compute) noexcept { return compute == Compute::f32 ? 512 : 1024; }

void multiply_in_chunks(const Context& ctx, MatrixView<const float> x, const PackedWeight& w,
                        MatrixView<float> y, Output output) {
  thread_local PackedInput packed;
  require(x.rows == y.rows, "rows", x.rows, y.rows);
  // Even chunks, so that none is left with the few rows that would take another path.
  const std::int64_t chunks = ceil_div(x.rows, rows_at_once(w.compute()));
  const std::int64_t step = chunks <= 1 ? x.rows : ceil_div(ceil_div(x.rows, chunks), 32) * 32;
  for (std::int64_t first = 0; first < x.rows; first += step) {
    const std::int64_t count = std::min(step, x.rows - first);
    packed.pack(ctx, x.rows_from(first, count), w);
    matmul(ctx, packed, w, y.rows_from(first, count), output);
  }
}

}  // namespace

PackedInput::PackedInput() : impl_(std::make_unique<Impl>()) {}
PackedInput::~PackedInput() = default;
std::int64_t PackedInput::rows() const noexcept { return impl_->rows; }
std::int64_t PackedInput::cols() const noexcept { return impl_->cols; }

void PackedInput::pack(const Context& ctx, MatrixView<const float> x, const PackedWeight& like) {
  require(x.cols == like.in(), "depth", x.cols, like.in());
  const Engine& engine = engine_for_rows(like.compute(), like.isa(), x.rows);
  const std::int64_t slab_k = detail::engine_for(like.compute(), like.isa()).slab_k;
  impl_->engine = &engine;
  impl_->rows = x.rows;
  impl_->cols = x.cols;
  const std::int64_t panels = ceil_div(x.rows, engine.row_panel);
  std::byte* data = impl_->buffer.reserve(
      static_cast<std::size_t>(panels * (detail::a_panel_bytes(engine, x.cols))));
  ctx.parallel_for(panels, [&](std::int64_t panel) {
    const std::int64_t first = panel * engine.row_panel;
    const std::int64_t rows = std::min(engine.row_panel, x.rows - first);
    std::byte* slab = data;
    for (std::int64_t k0 = 0; k0 < x.cols; k0 += slab_k) {
      const std::int64_t depth = std::min(slab_k, x.cols - k0);
      const std::int64_t bytes = detail::a_panel_bytes(engine, depth);
      engine.pack_a(x.row(first) + k0, x.stride, rows, depth, slab + panel * bytes);
      slab += panels * bytes;
    }
  });
}

void matmul(const Context& ctx, const PackedInput& x, const PackedWeight& w, MatrixView<float> y,
            Output output) {
  const InputAccess::Impl& in = InputAccess::get(x);
  require(in.cols == w.in(), "depth", in.cols, w.in());
  require(in.rows == y.rows, "rows", in.rows, y.rows);
  require(w.out() == y.cols, "outputs", w.out(), y.cols);
  if (y.rows == 0 || y.cols == 0) return;
  if (in.cols == 0) {
    if (output == Output::store) clear(y);
    return;
  }
  require(in.engine == &engine_for_rows(w.compute(), w.isa(), in.rows), "layout", 0, 1);
  Product product{.engine = *in.engine,
                  .b_slab = detail::engine_for(w.compute(), w.isa()).slab_k,
                  .a = in.buffer.data(),
                  .b = w.data(),
                  .rows = in.rows,
                  .outs = w.out(),
                  .depth = in.cols,
                  .y = y,
                  .output = output};
  product.cut(ctx.threads());
  ctx.parallel_for(product.blocks(), [&](std::int64_t index) { product.run_block(index); });
}

void matmul(const Context& ctx, MatrixView<const float> x, const PackedWeight& w,
            MatrixView<float> y) {
  multiply_in_chunks(ctx, x, w, y, Output::store);
}

std::size_t matmul_scratch_bytes(std::int64_t rows, std::int64_t in, int threads, Compute compute) {
  const Engine& e = detail::engine_for(compute, current_isa());
  const std::int64_t at_once = std::min(rows, rows_at_once(compute));
  const std::int64_t packed = ceil_div(at_once, e.row_panel) * detail::a_panel_bytes(e, in);
  const std::int64_t ldc = e.block_out_panels * kPanelOuts + 16;
  const std::int64_t block = e.block_row_panels * e.row_panel * ldc * 4;
  return static_cast<std::size_t>(packed + threads * block);
}

void matmul_add(const Context& ctx, MatrixView<const float> x, const PackedWeight& w,
                MatrixView<float> y) {
  multiply_in_chunks(ctx, x, w, y, Output::add);
}

void matmul(const Context& ctx, MatrixView<const float> x, MatrixView<const float> w,
            MatrixView<float> y) {
  matmul(ctx, x, PackedWeight(ctx, w, Compute::f32), y);
}

}  // namespace pare::kernels
