#include "pipeline/quantize/estimate.h"

#include "calib/batches.h"
#include "calib/gram.h"
#include "core/memory.h"
#include "core/stopwatch.h"
#include "kernels/gemm.h"
#include "kernels/quantize.h"
#include "layouts/layout.h"
#include "layouts/tensor_pieces.h"
#include "model/block.h"
#include "pare/error.h"
#include "pipeline/output/code_stats.h"
#include "pipeline/output/content.h"
#include "pipeline/output/finite.h"
#include "pipeline/output/for_each_linear.h"
#include "pipeline/quantize/inventory.h"
#include "pipeline/quantize/linear_step.h"
#include "pipeline/quantize/transforms.h"
#include "quant/distortion.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace pare::pipeline {
namespace {

/// Packing, hashing and writing a linear, and all of it back: in passes over its codes that hash.
constexpr int kFormPasses = 4;
/// Reading, writing and comparing floats, which the disk and the page cache decide on.
constexpr double kCopiedBytesPerSecond = 1e9;

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

/// Weights per second of what every linear goes through, for schemes whose method needs data.
double probe_minmax(const Context& ctx) {
  constexpr std::int64_t kCount = 1 << 22;
  constexpr double kPasses =
      12;  // range, codes, error, counts, hashes, packing, and all of it back
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

/// The same with the plan's own method, on the first rows of a linear: quantized, measured, and
/// brought into the form of every output and back.
double probe_linear(const Context& ctx, const Plan& plan) {
  constexpr std::int64_t kMostWeights = std::int64_t{1} << 20;
  const std::vector<model::Module> linears = plan.linears.quantized();
  const model::Module& linear = linears[linears.size() / 2];
  const std::int64_t rows = std::clamp<std::int64_t>(kMostWeights / linear.in(), 1, linear.out());
  const model::FloatWeights weights(*plan.source);
  quant::FloatLinear part;
  part.weight = rows_of(weights.linear(ctx, linear).weight, 0, rows);
  const auto handle = [&] {
    quant::QuantizedLinear quantized = quantize_linear(ctx, plan, linear, part);
    quantized.out = rows;
    quant::weight_distortion(ctx, part.weight, quantized);
    code_stats(count_codes(ctx, quantized.codes));
    for (const layout::OutputPlan& output : plan.outputs) {
      for (int pass = 0; pass < kFormPasses; ++pass)
        written_content(output, quantized);
    }
  };
  const double seconds = seconds_of(handle);
  weights.release(linear);
  return static_cast<double>(rows * linear.in()) / std::max(1e-9, seconds);
}

double seconds_for_weights(const Context& ctx, const Plan& plan) {
  const auto weights = static_cast<double>(plan.linears.quantized_weights());
  const bool weights_only = plan.spec.method->needs == quant::Needs::weights_only;
  const double floats = static_cast<double>(plan.input_bytes) / kCopiedBytesPerSecond;
  if (!weights_only) return floats + weights / probe_minmax(ctx);
  try {
    return floats + weights / probe_linear(ctx, plan);
  } catch (const Error&) {  // of this weight: the run will say it, with its place
    return floats + weights / probe_minmax(ctx);
  }
}

/// What a page fault may bring in beside what is read: see io::MappedFile::release.
constexpr std::size_t kPagesAround = std::size_t{2} << 20;

/// A decoded tensor and the pages that it is decoded from, in thirds of its size.
constexpr std::size_t kDecoded = 5;

const containers::TensorInfo* largest_copied(const Plan& plan) {
  std::set<std::string_view> quantized;
  const std::vector<model::Module> linears = plan.linears.quantized();
  for (const model::Module& linear : linears)
    quantized.insert(linear.source);
  const containers::TensorInfo* largest = nullptr;
  for (const containers::TensorInfo& info : plan.source->tensors()) {
    if (quantized.contains(info.name)) continue;
    if (largest == nullptr || info.nbytes() > largest->nbytes()) largest = &info;
  }
  return largest;
}

/// Whether the source makes tensors in memory instead of mapping them.
bool decodes(const Plan& plan, const containers::TensorInfo& info) {
  return info.shape.rank() == 2 && info.shape[0] > 0 &&
         plan.source->read_rows(info.name, 0, 1).owner != nullptr;
}

/// The type in which a layout holds a float tensor.
DType stored_dtype(const Plan& plan, const layout::Layout& layout,
                   const containers::TensorInfo& tensor) {
  if (layout.needs_architecture) return layout.float_dtype.value_or(tensor.dtype);
  layout::OutputPlan one;
  one.layout = &layout;
  one.entries.push_back({.linear = std::nullopt, .tensor = tensor});
  const std::vector<containers::TensorInfo> declared = layout.declare(one, plan.job.params);
  return declared.empty() ? tensor.dtype : declared.front().dtype;
}

/// Tensors that are no quantized linear's weight are looked through, then copied, then compared:
/// all in pieces, those of another type with a piece in it beside them.
std::size_t copy_bytes(const Plan& plan) {
  const containers::TensorInfo* largest = largest_copied(plan);
  if (largest == nullptr) return 0;
  const std::size_t width = size_of(largest->dtype);
  std::size_t most = static_cast<std::size_t>(kFiniteInHand) * width + kPagesAround;
  for (const layout::Layout* layout : plan.spec.layouts) {
    const DType stored = stored_dtype(plan, *layout, *largest);
    if (stored == largest->dtype) continue;
    const std::size_t piece = width + sizeof(float) + size_of(stored);
    // Files of a container of its own are read through to be opened.
    const std::size_t pages = layout->open_weights != nullptr ? 3 * kPagesAround : kPagesAround;
    most = std::max(most, layout::kPieceElements * piece + pages);
  }
  if (!decodes(plan, *largest)) return std::min(most, largest->nbytes() + kPagesAround);
  return most + largest->nbytes() * kDecoded / 3;
}

/// The file of the tokenizer, where one is read: for calibration, or to be put into an output.
std::size_t tokenizer_file_bytes(const Plan& plan) {
  const bool in_file =
      std::any_of(plan.spec.layouts.begin(), plan.spec.layouts.end(),
                  [](const layout::Layout* layout) { return layout->needs_architecture; });
  if (!in_file && !plan.calibration.has_value()) return 0;
  std::uintmax_t bytes = 0;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt"}) {
    std::error_code missing;
    const std::uintmax_t size = std::filesystem::file_size(plan.job.model / name, missing);
    if (!missing) bytes = std::max(bytes, size);
  }
  return static_cast<std::size_t>(bytes);
}

/// Linears being read back: codes, and the pages of the files that they come from.
std::size_t verify_bytes(const Plan& plan, int threads) {
  std::size_t codes = 0;
  for (const model::Module& linear : plan.linears.quantized())
    codes = std::max(codes, static_cast<std::size_t>(linear.weights()));
  const std::size_t fitting =
      std::max<std::size_t>(1, kCodesInHand / std::max<std::size_t>(1, codes));
  const std::size_t at_once =
      std::min({fitting, static_cast<std::size_t>(threads), plan.linears.quantized_count()});
  return at_once * (2 * codes + kPagesAround);
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

/// The largest tensor that a layout makes of a linear; int8 codes are written as they are.
std::size_t emitted_bytes(const Plan& plan, const model::Module& linear) {
  std::size_t largest = 0;
  for (const layout::Layout* layout : plan.spec.layouts) {
    if (layout->needs_architecture || !layout->refuses(plan.spec.scheme).empty()) continue;
    layout::OutputPlan one;
    one.layout = layout;
    one.model_dtype = plan.model_dtype;
    one.entries.push_back({.linear = header_of(plan, linear), .tensor = {}});
    for (const containers::TensorInfo& info : layout->declare(one, plan.job.params)) {
      const bool as_it_is = info.dtype == DType::i8 && info.shape.numel() == linear.weights();
      if (!as_it_is) largest = std::max(largest, info.nbytes());
    }
  }
  return largest;
}

/// A linear in hand: its mapped source, codes and scales; then, when calibrating, the weight the
/// codes stand for, in f32 and packed; then what a layout makes of it.
std::size_t largest_linear(const Plan& plan) {
  const std::vector<model::Module> linears = plan.linears.quantized();
  const auto largest = std::max_element(
      linears.begin(), linears.end(),
      [](const model::Module& a, const model::Module& b) { return a.weights() < b.weights(); });
  if (largest == linears.end()) return 0;
  const auto weights = static_cast<std::size_t>(largest->weights());
  const std::size_t copies = plan.spec.layouts.size() > 1 ? 2 : 1;  // in an output's types
  std::size_t later = emitted_bytes(plan, *largest);
  if (plan.calibration.has_value()) {
    const std::size_t packed = kernels::packed_bytes(largest->out(), largest->in(), plan.compute);
    later = std::max(later, weights * sizeof(float) + packed);
  }
  return weights * (size_of(plan.source->find(largest->source)->dtype) + copies) + later;
}

std::int64_t longest_batch(const text::Dataset& data) {
  std::int64_t longest = 0;
  for (const calib::BatchRange& range : calib::batch_ranges(data))
    longest = std::max(longest, range.tokens);
  return longest;
}

}  // namespace

MemoryEstimate estimate_memory(const Plan& plan, int threads) {
  MemoryEstimate memory;
  constexpr std::size_t kProgram = std::size_t{12} << 20;
  // While a tokenizer is read, its parts stand in memory several times, above all those of JSON; in
  // the end about as much as its file is left in holes of the heap.
  constexpr std::size_t kTimes = 6;
  memory.program = kProgram + tokenizer_file_bytes(plan);
  memory.tokenizer = kTimes * tokenizer_file_bytes(plan);
  memory.copy = copy_bytes(plan);
  memory.verify = verify_bytes(plan, threads);
  memory.linear = largest_linear(plan);
  if (!plan.calibration.has_value()) return memory;
  const model::ModelConfig& config = plan.graph->config;
  const std::int64_t rows = longest_batch(*plan.calibration);
  const auto floats = [](std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); };
  memory.hidden = floats(plan.calibration->tokens() * config.hidden_size);
  memory.block = model::block_bytes(plan.graph->block(0), plan.compute);
  const std::size_t copied_batch = floats(rows * config.hidden_size);
  memory.forward = model::forward_bytes(config, rows, threads, plan.compute) + copied_batch;
  memory.statistics = floats(kSampleRows * (3 * config.hidden_size + 3 * config.intermediate_size));
  memory.transforms = transform_bytes(plan, memory.statistics + memory.linear);
  if (plan.needs_gram()) memory.gram = gram_bytes(plan);
  return memory;
}

double estimate_seconds(const Context& ctx, const Plan& plan) {
  trim_heap();  // of what reading the tokenizer left
  double seconds = seconds_for_weights(ctx, plan);
  if (!plan.calibration.has_value()) return seconds;
  std::int64_t block_weights = 0;
  for (const model::Module& linear : plan.linears.all()) {
    block_weights += linear.block >= 0 ? linear.weights() : 0;
  }
  constexpr double kForwards = 2;          // before and after quantizing
  constexpr double kBesideProducts = 1.3;  // attention, norms, observers
  // Then both weights of every linear multiply the sampled rows, to measure what it now gives.
  const auto tokens = static_cast<double>(plan.calibration->tokens());
  const double rows =
      kForwards * kBesideProducts * tokens + 2 * std::min(tokens, static_cast<double>(kSampleRows));
  const double products = static_cast<double>(block_weights) * rows;
  const double transforms = transform_products(plan);
  if (transforms > 0) seconds += transforms / probe_products(ctx, kernels::Compute::f32);
  return seconds + products / probe_products(ctx, plan.compute);
}

}  // namespace pare::pipeline
