#include "pipeline/quantize/estimate.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/stopwatch.h"
#include "kernels/gemm.h"
#include "kernels/quantize.h"
#include "model/block.h"
#include "calib/batches.h"
#include "calib/gram.h"
#include "layouts/layout.h"
#include "pipeline/quantize/transforms.h"

namespace pare::pipeline {
namespace {

double seconds_of(const std::function<void()>& work) {
  const Stopwatch watch;
  work();
  return watch.seconds();
}

/// Multiply-adds per second of the calibration's products on this machine.
double probe_products(const Context& ctx, kernels::Compute compute) {
  constexpr std::int64_t kSide = 1024;
  constexpr std::int64_t kRows = 256;
  Matrix weight(kSide, kSide);
  Matrix x(kRows, kSide);
  Matrix y(kRows, kSide);
  const kernels::PackedWeight packed(ctx, std::as_const(weight).view(), compute);
  const auto once = [&] { kernels::matmul(ctx, std::as_const(x).view(), packed, y.view()); };
  once();
  return kRows * kSide * kSide / std::max(1e-9, seconds_of(once));
}

/// Weights per second of reading, quantizing, measuring and writing on this machine.
double probe_weights(const Context& ctx) {
  constexpr std::int64_t kCount = 1 << 22;
  constexpr double kPasses = 6;  // range, codes, error, write, read back, check
  std::vector<std::uint16_t> weights(kCount, 0x3C00);
  std::vector<std::int8_t> codes(kCount);
  constexpr std::int64_t kPieces = 64;
  const auto quantize = [&](std::int64_t i) {
    const std::int64_t first = i * (kCount / kPieces);
    const auto* bytes = reinterpret_cast<const std::byte*>(weights.data() + first);
    kernels::quantize_row(DType::bf16, bytes, kCount / kPieces, 0.01F, 0, -127, 127,
                          codes.data() + first);
  };
  const double seconds = seconds_of([&] { ctx.parallel_for(kPieces, quantize); });
  return static_cast<double>(kCount) / std::max(1e-9, seconds * kPasses);
}

/// Tensors that are no quantized linear's weight are copied as they are.
std::size_t largest_copy(const Plan& plan) {
  std::set<std::string_view> quantized;
  const std::vector<model::Module> linears = plan.linears.quantized();
  for (const model::Module& linear : linears) quantized.insert(linear.source);
  std::size_t largest = 0;
  for (const containers::TensorInfo& info : plan.source->tensors()) {
    if (!quantized.contains(info.name)) largest = std::max(largest, info.nbytes());
  }
  return largest;
}

/// Gram matrices of all sites of a block, and the rows being added to one of them.
std::size_t gram_bytes(const Plan& plan) {
  std::size_t most = 0;
  std::map<model::Site, std::int64_t> widths;
  for (const model::Module& module : plan.graph->block(0)) {
    if (module.kind == model::ModuleKind::linear) widths[*module.site] = module.in();
  }
  std::int64_t longest = 0;
  for (const auto& sequence : plan.calibration->sequences) {
    longest = std::max(longest, static_cast<std::int64_t>(sequence.size()));
  }
  std::size_t sum = 0;
  for (const auto& [site, in] : widths) {
    sum += calib::gram_bytes(in);
    most = std::max(most, calib::add_gram_bytes(in, longest));
  }
  return sum + most;
}

/// A linear in hand: its mapped source, codes and scales, and, when calibrating, the weight the
/// codes stand for, in f32 and packed.
std::size_t largest_linear(const Plan& plan) {
  std::size_t largest = 0;
  for (const model::Module& linear : plan.linears.quantized()) {
    const auto weights = static_cast<std::size_t>(linear.weights());
    const std::size_t copies = plan.spec.layouts.size() > 1 ? 2 : 1;  // in an output's types
    std::size_t bytes = weights * size_of(plan.source->find(linear.source)->dtype) + copies * weights;
    if (plan.calibration.has_value()) {
      bytes += weights * sizeof(float) + kernels::packed_bytes(linear.out(), linear.in(), plan.compute);
    }
    largest = std::max(largest, bytes);
  }
  return largest;
}

std::int64_t longest_batch(const text::Dataset& data) {
  std::int64_t longest = 0;
  for (const calib::BatchRange& range : calib::batch_ranges(data)) longest = std::max(longest, range.tokens);
  return longest;
}

}  // namespace

MemoryEstimate estimate_memory(const Plan& plan, int threads) {
  MemoryEstimate memory;
  constexpr std::size_t kProgram = std::size_t{24} << 20;
  memory.program = kProgram;
  memory.copy = largest_copy(plan);
  memory.linear = largest_linear(plan);
  if (!plan.calibration.has_value()) return memory;
  const model::ModelConfig& config = plan.graph->config;
  const std::int64_t rows = longest_batch(*plan.calibration);
  const auto floats = [](std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); };
  memory.hidden = floats(plan.calibration->tokens() * config.hidden_size);
  memory.block = model::block_bytes(plan.graph->block(0), plan.compute);
  const std::size_t copied_batch = floats(rows * config.hidden_size);
  memory.forward = model::forward_bytes(config, rows, threads, plan.compute) + copied_batch;
  memory.statistics =
      floats(kSampleRows * (3 * config.hidden_size + 3 * config.intermediate_size));
  memory.transforms = transform_bytes(plan);
  if (plan.needs_gram()) memory.gram = gram_bytes(plan);
  return memory;
}

double estimate_seconds(const Context& ctx, const Plan& plan) {
  double seconds = static_cast<double>(plan.parameters) / probe_weights(ctx);
  if (!plan.calibration.has_value()) return seconds;
  std::int64_t block_weights = 0;
  for (const model::Module& linear : plan.linears.all()) {
    block_weights += linear.block >= 0 ? linear.weights() : 0;
  }
  constexpr double kForwards = 2;        // before and after quantizing
  constexpr double kBesideProducts = 1.3;  // attention, norms, observers
  const double products = kForwards * kBesideProducts * static_cast<double>(block_weights) *
                          static_cast<double>(plan.calibration->tokens());
  const double transforms = transform_products(plan);
  if (transforms > 0) seconds += transforms / probe_products(ctx, kernels::Compute::f32);
  return seconds + products / probe_products(ctx, plan.compute);
}

}  // namespace pare::pipeline
