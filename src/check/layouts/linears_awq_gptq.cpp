// Linears of AWQ (gemm) and GPTQ files: qweight, qzeros, scales, and g_idx in GPTQ.
// Source: docs/formats/autoawq.md, docs/formats/gptq.md
#include "check/layouts/part_reader.h"

#include <fmt/format.h>

#include <array>

namespace pare::check {
namespace {

/// Modules with any of the parts, so that a linear without its words is one with a problem.
std::vector<std::string> modules_with_any(const Folder& folder) {
  std::set<std::string> modules;
  for (const std::string_view suffix : {".qweight", ".qzeros", ".scales", ".g_idx"}) {
    for (const std::string& module : modules_with(folder, suffix))
      modules.insert(module);
  }
  return {modules.begin(), modules.end()};
}

void expect_bias(PartReader& parts, const Linear& linear) {
  const StoredTensor* bias = parts.optional(".bias", {DType::f16, DType::bf16, DType::f32}, 1);
  if (linear.out > 0) parts.expect_shape(bias, {linear.out});
}

void expect_groups(PartReader& parts, const Linear& linear) {
  if (linear.groups <= 0 || linear.in <= 0 || linear.in % linear.groups == 0) return;
  parts.problem(fmt::format("{}: {} inputs do not divide into {} groups of one size", linear.name,
                            linear.in, linear.groups));
}

Linear awq_linear(const Folder& folder, const std::string& name) {
  Linear linear;
  linear.name = name;
  linear.bits = 4;
  PartReader parts(folder, linear);
  const StoredTensor* words = parts.need(".qweight", {DType::i32}, 2);
  const StoredTensor* zeros = parts.need(".qzeros", {DType::i32}, 2);
  const StoredTensor* scales = parts.need(".scales", {DType::f16, DType::bf16, DType::f32}, 2);
  if (scales != nullptr) {
    linear.scales = scales->info.name;
    linear.groups = scales->info.shape[0];
    linear.out = scales->info.shape[1];
    parts.expect_shape(zeros, {linear.groups, word_count(linear.out, 4)});
  }
  if (words != nullptr) linear.in = words->info.shape[0];
  if (scales != nullptr) parts.expect_shape(words, {linear.in, word_count(linear.out, 4)});
  expect_groups(parts, linear);
  expect_bias(parts, linear);
  return linear;
}

/// Bits from how many words hold one zero for each output; 0 when no width fits.
int bits_of(const StoredTensor& zeros, std::int64_t out) {
  constexpr std::array kWidths = {4, 8, 2, 3};
  for (const int bits : kWidths) {
    if (zeros.info.shape[1] == word_count(out, bits)) return bits;
  }
  return 0;
}

void read_gptq_inputs(PartReader& parts, Linear& linear, const StoredTensor* words) {
  if (words == nullptr || linear.bits == 0) return;
  const std::int64_t rows = words->info.shape[0];
  linear.in = rows <= (std::int64_t{1} << 40) ? rows * 32 / linear.bits : 0;
  if (linear.out > 0) parts.expect_shape(words, {rows, linear.out});
}

Linear gptq_linear(const Folder& folder, const std::string& name) {
  Linear linear;
  linear.name = name;
  PartReader parts(folder, linear);
  const StoredTensor* words = parts.need(".qweight", {DType::i32}, 2);
  const StoredTensor* zeros = parts.need(".qzeros", {DType::i32}, 2);
  const StoredTensor* scales = parts.need(".scales", {DType::f16, DType::bf16, DType::f32}, 2);
  const StoredTensor* groups = parts.optional(".g_idx", {DType::i32}, 1);
  if (scales != nullptr) {
    linear.scales = scales->info.name;
    linear.groups = scales->info.shape[0];
    linear.out = scales->info.shape[1];
  }
  if (zeros != nullptr && scales != nullptr) {
    linear.bits = bits_of(*zeros, linear.out);
    if (linear.bits == 0) {
      parts.problem(fmt::format("{} has {} words for {} outputs: no width of 2, 3, 4 or 8 bits",
                                zeros->info.name, zeros->info.shape[1], linear.out));
    }
    parts.expect_shape(zeros, {linear.groups, zeros->info.shape[1]});
  }
  read_gptq_inputs(parts, linear, words);
  if (linear.in > 0) parts.expect_shape(groups, {linear.in});
  expect_bias(parts, linear);
  return linear;
}

}  // namespace

std::vector<Linear> find_awq_linears(const Folder& folder) {
  std::vector<Linear> linears;
  for (const std::string& name : modules_with_any(folder))
    linears.push_back(awq_linear(folder, name));
  return linears;
}

std::vector<Linear> find_gptq_linears(const Folder& folder) {
  std::vector<Linear> linears;
  for (const std::string& name : modules_with_any(folder))
    linears.push_back(gptq_linear(folder, name));
  return linears;
}

}  // namespace pare::check
