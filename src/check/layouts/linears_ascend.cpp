// Linears of Ascend's two layouts: the description says what each tensor is.
// Source: docs/formats/ascend.md
#include "check/json_view.h"
#include "check/layouts.h"
#include "check/layouts/ascend_types.h"
#include "check/layouts/part_reader.h"

#include <fmt/format.h>

namespace pare::check {
namespace {

constexpr std::initializer_list<DType> kFloats = {DType::f32, DType::f16, DType::bf16};

/// One value: [1], or no dimension at all.
void need_one_value(PartReader& parts, std::string_view suffix) {
  const StoredTensor* part = parts.find(suffix);
  if (part != nullptr && part->info.shape.rank() == 0) return;
  const auto types = {DType::f32, DType::f16, DType::bf16, DType::i8};
  parts.expect_shape(parts.need(suffix, types, 1), {1});
}

void read_row_scales(PartReader& parts, Linear& linear) {
  const StoredTensor* scales = parts.find(".weight_scale");
  const std::size_t rank = scales != nullptr && scales->info.shape.rank() == 1 ? 1 : 2;
  scales = parts.need(".weight_scale", kFloats, rank);
  if (scales == nullptr) return;
  linear.scales = scales->info.name;
  linear.out = scales->info.shape[0];
  linear.groups = rank == 2 ? scales->info.shape[1] : 1;
  const StoredTensor* second = parts.optional(".weight_scale_second", kFloats, 2);
  if (second != nullptr) linear.groups = second->info.shape[1];
  parts.expect_shape(parts.need(".weight_offset", kFloats, rank), scales->info.shape);
}

void read_static_parts(PartReader& parts, Linear& linear) {
  need_one_value(parts, ".input_scale");
  need_one_value(parts, ".input_offset");
  const StoredTensor* deq = parts.need(".deq_scale", {DType::i64, DType::f32}, 1);
  const StoredTensor* bias = parts.need(".quant_bias", {DType::i32}, 1);
  if (bias != nullptr) linear.out = bias->info.shape[0];
  if (deq != nullptr && deq->info.shape != Shape{1}) parts.expect_shape(deq, {linear.out});
  linear.groups = 1;
}

/// Rows or columns that are half of what the scales say hold two codes to a byte.
void read_weight(const Folder& folder, PartReader& parts, Linear& linear, const AscendType& type) {
  const StoredTensor* weight = parts.need(".weight", {DType::i8}, 2);
  if (weight == nullptr) return;
  const std::int64_t rows = weight->info.shape[0];
  linear.in = weight->info.shape[1];
  if (linear.out <= 1) linear.out = rows;  // one scale for all rows
  if (rows == linear.out) {
    const bool version_1 = folder.layout() == kAscendV1;
    const bool paired = version_1 && type.paired_inputs && linear.groups == 1;
    if (paired) linear.nibbles = Nibbles::paired_inputs;
    if (paired) linear.in *= 2;
    return;
  }
  if (type.bits == 4 && rows * 2 == linear.out) {
    linear.nibbles = Nibbles::paired_outputs;
    return;
  }
  parts.problem(fmt::format("{} has {} rows for {} outputs", weight->info.name, rows, linear.out));
}

Linear ascend_linear(const Folder& folder, const std::string& name, const std::string& tag) {
  Linear linear;
  linear.name = name;
  linear.type = tag;
  PartReader parts(folder, linear);
  const AscendType* type = find_ascend_type(tag);
  if (type == nullptr) return linear;
  linear.bits = type->bits;
  if (type->is_static) read_static_parts(parts, linear);
  if (type->row_scales) read_row_scales(parts, linear);
  read_weight(folder, parts, linear, *type);
  return linear;
}

}  // namespace

std::vector<Linear> find_ascend_linears(const Folder& folder) {
  std::vector<Linear> linears;
  for (const std::string& name : modules_with(folder, ".weight")) {
    const auto tag = text_of(member(folder.description(), name + ".weight"));
    const bool norm = folder.weights().find(name + ".weight")->info.shape.rank() == 1;
    if (tag && *tag != "FLOAT" && !norm) linears.push_back(ascend_linear(folder, name, *tag));
  }
  return linears;
}

}  // namespace pare::check
