// Attention as two products around a softmax: keys and values of a few heads are packed once, then
// every task takes one head and one block of queries, with all of their scores in its own scratch.
#include "kernels/attention.h"

#include "kernels/buffer.h"
#include "kernels/isa.h"
#include "pare/error.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace pare::kernels {
namespace {

using detail::Engine;
using detail::kPanelOuts;

constexpr std::int64_t kQueryBlock = 64;
constexpr std::int64_t kKeySlab = 256;  // a multiple of 32
constexpr std::int64_t kFewQueries = 8;
/// Packed keys and values held at a time.
constexpr std::int64_t kPackedBytes = std::int64_t{16} << 20;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// One call: the operands and what follows from the shape.
struct Attention {
  const AttentionShape& shape;
  const Engine& engine;
  const detail::RowKernels& row_kernels;
  MatrixView<const float> q, k, v;
  MatrixView<float> out;

  std::int64_t group() const noexcept { return shape.heads / shape.kv_heads; }
  std::int64_t keys() const noexcept { return k.rows; }
  std::int64_t slabs() const noexcept { return ceil_div(keys(), kKeySlab); }
  std::int64_t width_panels() const noexcept { return ceil_div(shape.head_dim, kPanelOuts); }

  Range visible(std::int64_t query) const noexcept {
    const std::int64_t last = query + keys() - q.rows;
    const std::int64_t first = shape.window > 0 ? last - shape.window + 1 : 0;
    return {std::max<std::int64_t>(0, first), last + 1};
  }

  // Packed keys of one head: panels of 32 keys, each of depth D. Values: slabs of 256 keys, each
  // with the panels of D. Every slab has its full size, so places are easy to find.
  std::int64_t key_panel_bytes() const noexcept {
    return detail::b_panel_bytes(engine, shape.head_dim);
  }
  std::int64_t value_panel_bytes() const noexcept {
    return detail::b_panel_bytes(engine, kKeySlab);
  }
  std::int64_t key_bytes() const noexcept {
    return slabs() * (kKeySlab / kPanelOuts) * key_panel_bytes();
  }
  std::int64_t value_bytes() const noexcept {
    return slabs() * width_panels() * value_panel_bytes();
  }
  std::int64_t head_bytes() const noexcept { return key_bytes() + value_bytes(); }

  void pack_slab(std::int64_t kv_head, std::int64_t slab, std::byte* head) const {
    const std::int64_t first = slab * kKeySlab;
    const std::int64_t count = std::min(kKeySlab, keys() - first);
    const std::int64_t column = kv_head * shape.head_dim;
    std::byte* key_to = head + slab * (kKeySlab / kPanelOuts) * key_panel_bytes();
    for (std::int64_t at = 0; at < count; at += kPanelOuts, key_to += key_panel_bytes()) {
      engine.pack_b(k.row(first + at) + column, k.stride, std::min(kPanelOuts, count - at),
                    shape.head_dim, key_to);
    }
    std::byte* value_to = head + key_bytes() + slab * width_panels() * value_panel_bytes();
    for (std::int64_t d = 0; d < shape.head_dim; d += kPanelOuts) {
      engine.pack_b_columns(v.row(first) + column + d, v.stride, count,
                            std::min(kPanelOuts, shape.head_dim - d), value_to);
      value_to += value_panel_bytes();
    }
  }

  void run_block(std::int64_t head, std::int64_t block, const std::byte* packed) const;
};

/// Memory of one task, kept by its thread. Rows are never a power of two apart.
struct Scratch {
  detail::Buffer query, scores, weights, sums;
};

/// Scores of the block's rows against the keys [keys.begin, keys.end), begin a multiple of 32.
void score(const Attention& job, const Scratch& scratch, std::int64_t rows, Range keys,
           const std::byte* packed_keys, float* scores, std::int64_t stride) {
  detail::SlabJob slab;
  slab.a = scratch.query.data();
  slab.a_panel_bytes = detail::a_panel_bytes(job.engine, job.shape.head_dim);
  slab.rows = rows;
  slab.b_panel_bytes = job.key_panel_bytes();
  slab.b = packed_keys + keys.begin / kPanelOuts * slab.b_panel_bytes;
  slab.b_panels = ceil_div(keys.end - keys.begin, kPanelOuts);
  slab.k = job.shape.head_dim;
  slab.c = scores;
  slab.ldc = stride;
  job.engine.slab(&slab);
}

/// Turns the scores of one slab of keys into exp(score - maximum), zero where not visible.
double exponentiate(const Attention& job, float* scores, Range slab, Range visible, float max) {
  const std::int64_t begin = std::clamp(visible.begin, slab.begin, slab.end);
  const std::int64_t end = std::clamp(visible.end, begin, slab.end);
  std::fill(scores, scores + (begin - slab.begin), 0.0F);
  std::fill(scores + (end - slab.begin), scores + (slab.end - slab.begin), 0.0F);
  return job.row_kernels.exp_shifted(scores + (begin - slab.begin), job.shape.scale,
                                     max * job.shape.scale, end - begin);
}

void pack_rows(const Engine& engine, const float* x, std::int64_t stride, std::int64_t rows,
               std::int64_t depth, std::byte* to) {
  const std::int64_t bytes = detail::a_panel_bytes(engine, depth);
  for (std::int64_t r = 0; r < rows; r += engine.row_panel, to += bytes) {
    engine.pack_a(x + r * stride, stride, std::min(engine.row_panel, rows - r), depth, to);
  }
}

std::int64_t padded_rows(const Engine& engine, std::int64_t rows) noexcept {
  return ceil_div(rows, engine.row_panel) * engine.row_panel;
}

void Attention::run_block(std::int64_t head, std::int64_t block, const std::byte* packed) const {
  thread_local Scratch scratch;
  const std::int64_t first = block * kQueryBlock;
  const std::int64_t rows = std::min(kQueryBlock, q.rows - first);
  const std::int64_t panel_rows = padded_rows(engine, kQueryBlock);
  const std::int64_t column = head * shape.head_dim;
  const Range all = {visible(first).begin / kKeySlab * kKeySlab, visible(first + rows - 1).end};
  const std::int64_t stride = ceil_div(all.end - all.begin, kKeySlab) * kKeySlab + 16;
  float* scores = scratch.scores.floats(panel_rows * stride);
  const std::int64_t out_stride = width_panels() * kPanelOuts + 16;
  float* sums = scratch.sums.floats(panel_rows * out_stride);
  const auto panel_bytes = [&](std::int64_t depth) {
    return static_cast<std::size_t>(panel_rows / engine.row_panel *
                                    detail::a_panel_bytes(engine, depth));
  };
  pack_rows(engine, q.row(first) + column, q.stride, rows, shape.head_dim,
            scratch.query.reserve(panel_bytes(shape.head_dim)));
  score(*this, scratch, rows, all, packed, scores, stride);

  float max[kQueryBlock];
  double total[kQueryBlock] = {};
  for (std::int64_t r = 0; r < rows; ++r) {
    const Range seen = visible(first + r);
    max[r] = row_kernels.max(scores + r * stride + (seen.begin - all.begin), seen.end - seen.begin);
  }
  detail::SlabJob slab;
  slab.rows = rows;
  slab.b_panel_bytes = value_panel_bytes();
  slab.b_panels = width_panels();
  slab.c = sums;
  slab.ldc = out_stride;
  std::byte* weights = scratch.weights.reserve(panel_bytes(kKeySlab));
  slab.a = weights;
  for (std::int64_t at = all.begin; at < all.end; at += kKeySlab) {
    const Range keys_here = {at, std::min(all.end, at + kKeySlab)};
    float* here = scores + (at - all.begin);
    for (std::int64_t r = 0; r < rows; ++r) {
      total[r] += exponentiate(*this, here + r * stride, keys_here, visible(first + r), max[r]);
    }
    slab.k = keys_here.end - keys_here.begin;
    slab.a_panel_bytes = detail::a_panel_bytes(engine, slab.k);
    pack_rows(engine, here, stride, rows, slab.k, weights);
    slab.b = packed + key_bytes() + at / kKeySlab * width_panels() * value_panel_bytes();
    slab.first = at == all.begin;
    engine.slab(&slab);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    float* to = out.row(first + r) + column;
    std::copy_n(sums + r * out_stride, shape.head_dim, to);
    row_kernels.scale(to, static_cast<float>(1.0 / total[r]), shape.head_dim);
  }
}

/// One query row of one head straight from k and v, for generation: nothing is packed.
void attend_row(const Attention& job, std::int64_t head, std::int64_t query) {
  thread_local detail::Buffer buffer;
  const std::int64_t width = job.shape.head_dim;
  const std::int64_t column = head / job.group() * width;
  const Range seen = job.visible(query);
  const std::int64_t count = seen.end - seen.begin;
  float* scores = buffer.floats(count);
  const float* q = job.q.row(query) + head * width;
  for (std::int64_t j = 0; j < count; ++j) {
    scores[j] = job.row_kernels.dot(q, job.k.row(seen.begin + j) + column, width);
  }
  const float scale = job.shape.scale;
  const float max = job.row_kernels.max(scores, count);
  const double total = job.row_kernels.exp_shifted(scores, scale, max * scale, count);
  float* out = job.out.row(query) + head * width;
  std::fill_n(out, width, 0.0F);
  for (std::int64_t j = 0; j < count; ++j) {
    job.row_kernels.add_scaled(out, scores[j], job.v.row(seen.begin + j) + column, width);
  }
  job.row_kernels.scale(out, static_cast<float>(1.0 / total), width);
}

void attend_in_blocks(const Context& ctx, const Attention& job) {
  thread_local detail::Buffer packed;
  const std::int64_t kv_heads = job.shape.kv_heads;
  const std::int64_t at_once =
      std::clamp<std::int64_t>(kPackedBytes / job.head_bytes(), 1, kv_heads);
  const std::int64_t blocks = ceil_div(job.q.rows, kQueryBlock);
  for (std::int64_t first = 0; first < kv_heads; first += at_once) {
    const std::int64_t count = std::min(at_once, kv_heads - first);
    std::byte* data = packed.reserve(static_cast<std::size_t>(count * job.head_bytes()));
    ctx.parallel_for(count * job.slabs(), [&](std::int64_t i) {
      const std::int64_t head = i / job.slabs();
      job.pack_slab(first + head, i % job.slabs(), data + head * job.head_bytes());
    });
    // Long blocks (the last queries see most keys) first, for an even finish.
    const std::int64_t queries = count * job.group();
    ctx.parallel_for(queries * blocks, [&](std::int64_t i) {
      const std::int64_t head = first * job.group() + i / blocks;
      const std::byte* kv = data + i / blocks / job.group() * job.head_bytes();
      job.run_block(head, blocks - 1 - i % blocks, kv);
    });
  }
}

void check(const AttentionShape& s, MatrixView<const float> q, MatrixView<const float> k,
           MatrixView<const float> v, MatrixView<float> out) {
  const bool heads = s.heads > 0 && s.kv_heads > 0 && s.head_dim > 0 && s.heads % s.kv_heads == 0;
  const bool sizes = heads && q.cols == s.heads * s.head_dim && out.cols == q.cols &&
                     k.cols == s.kv_heads * s.head_dim && v.cols == k.cols && out.rows == q.rows &&
                     v.rows == k.rows && k.rows >= q.rows;
  if (!sizes) throw Error(ErrorCode::internal, "attention called with sizes that do not fit");
}

}  // namespace

void attention(const Context& ctx, const AttentionShape& shape, MatrixView<const float> q,
               MatrixView<const float> k, MatrixView<const float> v, MatrixView<float> out,
               Compute compute) {
  attention(ctx, shape, q, k, v, out, compute, current_isa());
}

void attention(const Context& ctx, const AttentionShape& shape, MatrixView<const float> q,
               MatrixView<const float> k, MatrixView<const float> v, MatrixView<float> out,
               Compute compute, Isa isa) {
  check(shape, q, k, v, out);
  const Attention job{.shape = shape,
                      .engine = detail::engine_for(compute, isa),
                      .row_kernels = detail::row_kernels_for(isa),
                      .q = q,
                      .k = k,
                      .v = v,
                      .out = out};
  if (q.rows > kFewQueries) return attend_in_blocks(ctx, job);
  ctx.parallel_for(q.rows * shape.heads,
                   [&](std::int64_t i) { attend_row(job, i % shape.heads, i / shape.heads); });
}

}  // namespace pare::kernels
