// Linears of compressed-tensors files: packed words, or plain int8 codes.
// Source: docs/formats/compressed-tensors.md
#include "check/layouts/ct_groups.h"
#include "check/layouts/part_reader.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

namespace pare::check {
namespace {

constexpr std::initializer_list<DType> kScaleTypes = {DType::f16, DType::bf16, DType::f32};

template <typename T>
std::array<std::int64_t, 2> two_numbers(const TensorView& view) {
  std::array<T, 2> values{};
  std::memcpy(values.data(), view.data.data(), sizeof values);
  return {values[0], values[1]};
}

/// What weight_shape says: outputs and inputs.
bool read_shape(const Folder& folder, PartReader& parts, Linear& linear) {
  const StoredTensor* shape = parts.need(".weight_shape", {DType::i64, DType::i32}, 1);
  if (shape == nullptr) return false;
  if (shape->info.shape != Shape{2}) {
    parts.expect_shape(shape, {2});
    return false;
  }
  const TensorView view = folder.view(*shape);
  const auto sizes = shape->info.dtype == DType::i64 ? two_numbers<std::int64_t>(view)
                                                     : two_numbers<std::int32_t>(view);
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  if (sizes[0] <= 0 || sizes[1] <= 0 || sizes[0] > kMost || sizes[1] > kMost) {
    parts.problem(fmt::format("{} says [{}, {}]", shape->info.name, sizes[0], sizes[1]));
    return false;
  }
  linear.out = sizes[0];
  linear.in = sizes[1];
  return true;
}

void read_packed_bits(PartReader& parts, Linear& linear, const StoredTensor& words) {
  constexpr std::array kWidths = {4, 8, 2, 3, 6, 5, 7};
  for (const int bits : kWidths) {
    if (linear.bits == 0 && words.info.shape[1] == word_count(linear.in, bits)) linear.bits = bits;
  }
  if (words.info.shape[0] == linear.out && linear.bits != 0) return;
  parts.problem(fmt::format("{} is {}; weight_shape says {} outputs and {} inputs", words.info.name,
                            words.info.shape.text(), linear.out, linear.in));
}

void read_scales(PartReader& parts, Linear& linear) {
  const StoredTensor* scales = parts.find(".weight_scale");
  if (scales != nullptr && scales->info.shape.rank() == 1) {  // one per tensor, or per row
    scales = parts.need(".weight_scale", kScaleTypes, 1);
    linear.groups = 1;
  } else {
    scales = parts.need(".weight_scale", kScaleTypes, 2);
    if (scales != nullptr) linear.groups = scales->info.shape[1];
  }
  if (scales == nullptr) return;
  linear.scales = scales->info.name;
  const std::int64_t rows = scales->info.shape[0];
  if (rows == linear.out || rows == 1 || linear.out == 0) return;
  parts.problem(fmt::format("{} has {} rows for {} outputs", linear.scales, rows, linear.out));
}

Linear packed_linear(const Folder& folder, const std::string& name) {
  Linear linear;
  linear.name = name;
  PartReader parts(folder, linear);
  const StoredTensor* words = parts.need(".weight_packed", {DType::i32}, 2);
  const bool sized = read_shape(folder, parts, linear);
  if (words != nullptr && sized) read_packed_bits(parts, linear, *words);
  read_scales(parts, linear);
  if (linear.groups > 0 && linear.in % linear.groups != 0) {
    parts.problem(
        fmt::format("{}: {} inputs do not divide into {} groups", name, linear.in, linear.groups));
  }
  const StoredTensor* zeros = parts.optional(".weight_zero_point", {DType::i32}, 2);
  if (linear.bits != 0 && linear.groups > 0)
    parts.expect_shape(zeros, {word_count(linear.out, linear.bits), linear.groups});
  return linear;
}

Linear int8_linear(const Folder& folder, const std::string& name) {
  Linear linear;
  linear.name = name;
  linear.bits = 8;
  PartReader parts(folder, linear);
  const StoredTensor* weight = parts.need(".weight", {DType::i8}, 2);
  if (weight != nullptr) {
    linear.out = weight->info.shape[0];
    linear.in = weight->info.shape[1];
  }
  read_scales(parts, linear);
  return linear;
}

}  // namespace

std::vector<Linear> find_ct_linears(const Folder& folder) {
  std::vector<Linear> linears;
  const std::vector<CtGroup> groups = ct_groups(folder);
  for (const std::string& name : modules_with(folder, ".weight_packed")) {
    if (is_packed_by_rules(groups, folder, name)) linears.push_back(packed_linear(folder, name));
  }
  for (const std::string& name : modules_with(folder, ".weight")) {
    const StoredTensor* weight = folder.weights().find(name + ".weight");
    if (weight->info.dtype == DType::i8) linears.push_back(int8_linear(folder, name));
  }
  return linears;
}

}  // namespace pare::check
