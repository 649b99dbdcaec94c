#include "layouts/ascend/stored_linear.h"

#include "layouts/ascend/math/static_algebra.h"
#include "layouts/ascend/stored_scales.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace pare::layout {
namespace {

/// What the scales say about the matrix; rows 0 = one scale for all of it.
struct ScaleShape {
  std::int64_t rows = 0;
  std::int64_t groups = 1;
};

ScaleShape scale_grid(const AscendParts& found) {
  const Part part = scale_part(*found.scheme);
  const TensorView& scale = *found[part];
  const Shape& shape = scale.shape;
  const bool empty = shape.rank() > 0 && shape.numel() == 0;
  const std::size_t highest_rank = part == Part::deq_scale ? 1 : 2;
  if (empty || shape.rank() < 1 || shape.rank() > highest_rank) {
    mismatch(part, highest_rank == 1 ? "[O] or [1]" : "[O, G]", scale);
  }
  if (shape.rank() == 2) return {shape[0], shape[1]};
  return shape[0] == 1 ? ScaleShape{} : ScaleShape{shape[0], 1};
}

Packing packing_in(const AscendParts& found, const ScaleShape& grid) noexcept {
  if (found.int4 == Int4::unpaired || found.scheme->weight_bits != 4) return Packing::none;
  if (found.scheme->form == quant::CodeForm::two_stage) return Packing::outputs;
  return grid.groups > 1 ? Packing::outputs : Packing::inputs;
}

/// Two rows of codes to a byte, in files that are said to hold one code to a byte.
void refuse_packed_rows(const AscendParts& found, const ScaleShape& grid,
                        const TensorView& weight) {
  const bool four_bits = found.int4 == Int4::unpaired && found.scheme->weight_bits == 4;
  if (!four_bits || grid.rows != 2 * weight.shape[0]) return;
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} {} has half the rows of its scales: two codes lie in a byte, but the "
                          "description is one of files with one",
                          name_of(Part::weight), weight.shape.text()))
      .hint(
          "packed files have a quant_model_description.json with \"version\": \"1.0.0\": put that "
          "of the same run beside them");
}

/// Fills out and in; the stored matrix, unpacked, must fit the scales.
void read_sizes(const AscendParts& found, const ScaleShape& grid, Packing packing,
                quant::QuantizedLinear& q) {
  const TensorView& weight = *found[Part::weight];
  constexpr std::int64_t kLargest = std::int64_t{1} << 40;
  const bool matrix = weight.dtype == DType::i8 && weight.shape.rank() == 2;
  if (!matrix || weight.numel() == 0 || weight.numel() > kLargest) {
    mismatch(Part::weight, "an I8 matrix", weight);
  }
  q.out = weight.shape[0] * (packing == Packing::outputs ? 2 : 1);
  q.in = weight.shape[1] * (packing == Packing::inputs ? 2 : 1);
  const bool fits = (grid.rows == 0 || grid.rows == q.out) && q.in % grid.groups == 0;
  if (fits) return;
  refuse_packed_rows(found, grid, weight);
  const Part part = scale_part(*found.scheme);
  mismatch(part,
           fmt::format("[{}, G] with G dividing {} beside a weight {}", q.out, q.in,
                       weight.shape.text()),
           *found[part]);
}

void read_granularity(const AscendParts& found, const ScaleShape& grid, quant::QuantizedLinear& q) {
  q.scheme.granularity = grid.rows == 0 ? quant::Granularity::tensor : quant::Granularity::channel;
  const bool two_stage = found.scheme->form == quant::CodeForm::two_stage;
  const bool one_group_stated = grid.rows > 0 && (found.group_size == q.in || two_stage);
  if (grid.groups == 1 && !one_group_stated) return;
  q.scheme.granularity = quant::Granularity::group;
  q.scheme.group_size = q.in / grid.groups;
  if (found.group_size == 0 || found.group_size == q.scheme.group_size) return;
  throw Error(ErrorCode::bad_description,
              fmt::format("group_size is {}, but {} {} means groups of {}", found.group_size,
                          name_of(scale_part(*found.scheme)),
                          found[scale_part(*found.scheme)]->shape.text(), q.scheme.group_size))
      .hint(kDamaged);
}

/// Copies codes and returns the lowest and highest, or 0; loops that become vector instructions,
/// over pieces that stay in the cache from one to the other.
std::pair<std::int8_t, std::int8_t> copy_codes(std::span<const std::byte> bytes,
                                               std::vector<std::int8_t>& codes) {
  constexpr std::size_t kPiece = 16384;
  std::int8_t low = 0;
  std::int8_t high = 0;
  codes.reserve(bytes.size());
  for (std::size_t first = 0; first < bytes.size(); first += kPiece) {
    const std::size_t size = std::min(kPiece, bytes.size() - first);
    const auto* piece = reinterpret_cast<const std::int8_t*>(bytes.data() + first);
    codes.insert(codes.end(), piece, piece + size);
    for (std::size_t i = 0; i < size; ++i) {
      low = std::min(low, piece[i]);
      high = std::max(high, piece[i]);
    }
  }
  return {low, high};
}

void read_codes(const AscendParts& found, Packing packing, quant::QuantizedLinear& q) {
  const std::span<const std::byte> bytes = found[Part::weight]->data;
  if (packing != Packing::none) {
    q.codes = unpack_int4(bytes, q.out, q.in, packing);
    return;
  }
  const auto [low, high] = copy_codes(bytes, q.codes);
  if (low >= q.scheme.qmin() && high <= q.scheme.qmax()) return;
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} holds codes {} to {}, more than {} bits", name_of(Part::weight), low,
                          high, q.scheme.weight_bits))
      .hint("the weight may be packed: ascend-v1 files carry \"version\" in their description");
}

/// The bias, and its values as f32.
std::vector<float> read_bias(const AscendParts& found, quant::QuantizedLinear& q) {
  if (!found[Part::bias].has_value()) return {};
  const TensorView& view = *found[Part::bias];
  std::vector<float> values = checked_floats(found, Part::bias, Shape{q.out}, kFinite);
  q.bias = Tensor::from<std::byte>(view.dtype, view.shape, view.data);
  return values;
}

/// Name, scheme and sizes; returns how codes lie in their bytes.
Packing read_sizes_and_scheme(const AscendParts& found, quant::QuantizedLinear& q) {
  q.name = found.module;
  q.scheme.weight_bits = found.scheme->weight_bits;
  q.scheme.activations = found.scheme->activations;
  q.scheme.form = found.scheme->form;
  const ScaleShape grid = scale_grid(found);
  const Packing packing = packing_in(found, grid);
  read_sizes(found, grid, packing, q);
  read_granularity(found, grid, q);
  return packing;
}

}  // namespace

quant::LinearHeader read_linear_header(const AscendParts& found) {
  try {
    quant::QuantizedLinear q;
    read_sizes_and_scheme(found, q);
    read_scales(found, q);
    read_bias(found, q);
    quant::describe_parts(q);
    return q.header();
  } catch (Error& error) {
    error.at(found.module);
    throw;
  }
}

LoadedLinear read_linear(const AscendParts& found) {
  try {
    LoadedLinear stored;
    quant::QuantizedLinear& q = stored.linear;
    const Packing packing = read_sizes_and_scheme(found, q);
    read_codes(found, packing, q);
    const StaticParts parts = read_scales(found, q);
    stored.effective_bias = read_bias(found, q);
    if (q.input.has_value()) {
      stored.effective_bias = effective_bias(q, parts.quant_bias, parts.deq);
    }
    stored.scale_bias = read_scale_bias(found, q);
    quant::describe_parts(q);
    return stored;
  } catch (Error& error) {
    error.at(found.module);
    throw;
  }
}

}  // namespace pare::layout
