#include "pipeline/quantize/estimate.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/stopwatch.h"
#include "kernels/gemm.h"
#include "kernels/quantize.h"
#include "model/block.h"
#include "calib/batches.h"
#include "pipeline/quantize/smoothing.h"

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
  for (const LinearEntry& linear : plan.linears) {
    if (linear.quantized()) quantized.insert(linear.weight_source);
  }
  std::size_t largest = 0;
  for (const containers::TensorInfo& info : plan.source->tensors()) {
    if (!quantized.contains(info.name)) largest = std::max(largest, info.nbytes());
  }
  return largest;
}

/// A linear in hand: its mapped source, codes and scales, and, when calibrating, the weight the
/// codes stand for, in f32 and packed.
std::size_t largest_linear(const Plan& plan) {
  std::size_t largest = 0;
  for (const LinearEntry& linear : plan.linears) {
    if (!linear.quantized()) continue;
    const auto weights = static_cast<std::size_t>(linear.weights());
    const std::size_t copies = plan.spec.layouts.size() > 1 ? 2 : 1;  // in an output's types
    std::size_t bytes = plan.source->find(linear.weight_source)->nbytes() + copies * weights;
    if (plan.calibration.has_value()) {
      bytes += weights * sizeof(float) + kernels::packed_bytes(linear.out, linear.in, plan.compute);
    }
    largest = std::max(largest, bytes);
  }
  return largest;
}

std::int64_t longest_batch(const text::Dataset& data) {
  std::int64_t longest = 0;
  for (const BatchRange& range : batch_ranges(data)) longest = std::max(longest, range.tokens);
  return longest;
}

/// The linears that smoothing changes in one block, as outputs and weights per site.
struct SmoothedSite {
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::size_t folded_bytes = 0;
};

std::vector<SmoothedSite> smoothed_work(const Plan& plan, std::int64_t block) {
  std::vector<SmoothedSite> work;
  for (const model::Site which : smoothed_sites(plan, block)) {
    SmoothedSite site;
    for (const LinearEntry& linear : plan.linears) {
      if (linear.block != block || model::site_of(*linear.role) != which) continue;
      site.out += linear.out;
      site.in = linear.in;
      site.folded_bytes += plan.source->find(linear.weight_source)->nbytes();
    }
    work.push_back(site);
  }
  return work;
}

/// Folded tensors of a block, rows of both norms, and the search for the larger of its sites.
std::size_t smoothing_bytes(const Plan& plan) {
  std::size_t most = 0;
  const bool row_by_row = plan.spec.scheme.granularity != quant::Granularity::tensor;
  const bool searches = !plan.job.params.given("smooth_alpha");
  for (std::int64_t block = 0; block < plan.graph->config.layers; ++block) {
    std::size_t folded = 0;
    std::size_t search = 0;
    for (const SmoothedSite& site : smoothed_work(plan, block)) {
      const std::int64_t rows = smooth_rows(plan);
      folded += site.folded_bytes + static_cast<std::size_t>(rows * site.in) * sizeof(float);
      if (!searches) continue;
      search = std::max(search, static_cast<std::size_t>(rows * site.in) * sizeof(float) +
                                    transform::search_bytes(rows, site.out, site.in, row_by_row));
    }
    most = std::max(most, folded + search);
  }
  return most;
}

/// Multiply-adds of the searches, and of the forward passes over attention before them.
double smoothing_products(const Plan& plan) {
  double products = 0;
  const bool searches = !plan.job.params.given("smooth_alpha");
  for (std::int64_t block = 0; block < plan.graph->config.layers; ++block) {
    for (const SmoothedSite& site : smoothed_work(plan, block)) {
      const auto weights = static_cast<double>(site.out * site.in);
      if (searches) {
        products += weights * static_cast<double>(smooth_rows(plan)) *
                    transform::search_products(transform::kSearchIntervals);
      }
    }
    const double side = static_cast<double>(plan.graph->config.hidden_size);
    if (!smoothed_sites(plan, block).empty()) {
      products += 4 * side * side * static_cast<double>(smooth_tokens(plan));
    }
  }
  return products;
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
  memory.block = model::block_bytes(config, plan.compute);
  const std::size_t copied_batch = floats(rows * config.hidden_size);
  memory.forward = model::forward_bytes(config, rows, threads, plan.compute) + copied_batch;
  memory.statistics =
      floats(kSampleRows * (3 * config.hidden_size + 3 * config.intermediate_size));
  memory.smoothing = smoothing_bytes(plan);
  return memory;
}

double estimate_seconds(const Context& ctx, const Plan& plan) {
  double seconds = static_cast<double>(plan.parameters) / probe_weights(ctx);
  if (!plan.calibration.has_value()) return seconds;
  std::int64_t block_weights = 0;
  for (const LinearEntry& linear : plan.linears) {
    block_weights += linear.block >= 0 ? linear.weights() : 0;
  }
  constexpr double kForwards = 2;        // before and after quantizing
  constexpr double kBesideProducts = 1.3;  // attention, norms, observers
  const double products = kForwards * kBesideProducts * static_cast<double>(block_weights) *
                          static_cast<double>(plan.calibration->tokens());
  const double smoothing = smoothing_products(plan);
  if (smoothing > 0) seconds += smoothing / probe_products(ctx, kernels::Compute::f32);
  return seconds + products / probe_products(ctx, plan.compute);
}

}  // namespace pare::pipeline
