#include "pipeline/output/compare_floats.h"

#include "kernels/quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace pare::pipeline {
namespace {

/// `count` elements from `first` on.
struct Piece {
  std::int64_t first = 0;
  std::int64_t count = 0;

  std::span<const std::byte> of(const TensorView& tensor) const {
    const std::size_t width = size_of(tensor.dtype);
    return tensor.data.subspan(static_cast<std::size_t>(first) * width,
                               static_cast<std::size_t>(count) * width);
  }
};

/// Of any type, also one with elements of less than a byte.
bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b,
                const std::function<void()>& give_back) {
  constexpr std::size_t kStep = static_cast<std::size_t>(kComparedElements) * 2;
  if (a.size() != b.size()) return false;
  for (std::size_t first = 0; first < a.size(); first += kStep) {
    const std::size_t count = std::min(kStep, a.size() - first);
    if (std::memcmp(a.data() + first, b.data() + first, count) != 0) return false;
    give_back();
  }
  return true;
}

std::vector<float> widen(const TensorView& tensor, const Piece& piece) {
  std::vector<float> values(static_cast<std::size_t>(piece.count));
  kernels::widen_row(tensor.dtype, piece.of(tensor).data(), piece.count, values.data());
  return values;
}

/// Largest change, or -1 where one is not what rounding to `dtype` explains.
double change_by_rounding(const std::vector<float>& source, const std::vector<float>& found,
                          DType dtype) {
  double largest = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == found[i]) continue;
    if (round_through(source[i], dtype) != found[i]) return -1;
    largest = std::max(largest, std::abs(static_cast<double>(source[i] - found[i])));
  }
  return largest;
}

}  // namespace

TensorComparison compare_floats(const TensorView& source, const TensorView& found,
                                const std::function<void()>& give_back) {
  if (source.shape != found.shape) return {"shape differs"};
  const bool same_type = source.dtype == found.dtype;
  if (!same_type && !(is_weight_float(source.dtype) && is_weight_float(found.dtype))) {
    return {"type differs"};
  }
  if (same_type) {
    const bool same = same_bytes(source.data, found.data, give_back);
    return {same ? "" : "values differ from the source"};
  }
  TensorComparison result;
  for (Piece piece; piece.first < source.numel(); piece.first += piece.count) {
    piece.count = std::min(kComparedElements, source.numel() - piece.first);
    const double moved = change_by_rounding(widen(source, piece), widen(found, piece), found.dtype);
    if (moved < 0) return {"values differ from the source"};
    result.moved = std::max(result.moved, moved);
    give_back();
  }
  return result;
}

}  // namespace pare::pipeline
