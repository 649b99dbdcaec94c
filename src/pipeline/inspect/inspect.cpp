#include "pipeline/inspect/inspect.h"

#include <algorithm>

#include <fmt/format.h>

#include "pare/error.h"
#include "layouts/layout.h"
#include "containers/packed/file.h"
#include "model/architecture.h"
#include "pipeline/output/finite.h"
#include "pipeline/quantize/job.h"
#include "pipeline/quantize/plan.h"
#include "pipeline/quantize/inventory.h"
#include "pipeline/open/linears_by_name.h"
#include "pipeline/open/stated_quantization.h"
#include "pipeline/open/weight_source.h"
#include "quant/named_schemes.h"

namespace pare::pipeline {
namespace {

/// A graph when config.json gives one that fits; otherwise the reason why not.
void read_architecture(Inspection& out, const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "config.json";
  if (!std::filesystem::exists(file)) {
    out.graph_problem = "no config.json";
    out.model_label = "unknown model";
    return;
  }
  const io::Json json = io::read_json(file);
  const model::ConfigReader config(json, file.string());
  out.model_label = json.is_object() ? model::architecture_label(config) : "unknown model";
  try {
    model::ModelGraph graph = model::read_graph(folder);
    if (out.quantized.empty()) model::check_tensors(graph, *out.source);
    out.tied_head = graph.config.tied_head || out.source->find(graph.module(model::Role::head).weight_name()) == nullptr;
    out.graph = std::move(graph);
  } catch (const Error& problem) {
    if (problem.kind() == ErrorKind::internal) throw;
    out.graph_problem = problem.what();
  }
}

void set_param(ParamMap& params, std::string_view name, const std::string& value) {
  const std::span<const ParamSpec> specs = recipe_params();
  const auto spec = std::find_if(specs.begin(), specs.end(),
                                 [&](const ParamSpec& s) { return s.name == name; });
  params.set(*spec, value, "inspect");
}

/// The plan of a scheme in one format, as far as its size needs it.
/// Errors: scheme_not_supported when the format has no place for it.
SchemeSize size_in_format(const Inspection& inspection, const layout::Layout& layout,
                          std::string_view scheme, std::int64_t group_size) {
  Plan plan;
  set_param(plan.job.params, "scheme", std::string(scheme));
  set_param(plan.job.params, "format", std::string(layout.id));
  if (group_size > 0) set_param(plan.job.params, "group_size", fmt::format("{}", group_size));
  plan.job.params.fill_defaults(recipe_params());
  plan.spec = read_quant_spec(plan.job.params);
  plan.graph = inspection.graph;
  plan.linears = LinearSelection(inspection.linears);
  for (const model::Module& linear : inspection.linears) {
    if (group_size > 0 && linear.in() % group_size != 0) plan.linears.keep(linear.name, "group size");
  }
  keep_gates(plan.linears);
  keep_heads(plan.linears);
  plan.source = inspection.source;
  plan.model_dtype = find_model_dtype(plan);
  plan_outputs(plan);
  return {.scheme = std::string(scheme), .format = std::string(layout.id),
          .group_size = group_size, .linears = plan.linears.quantized_count(),
          .bytes = plan.output_bytes(),
          .bits = static_cast<double>(plan.output_bytes()) * 8 /
                  static_cast<double>(inspection.parameters)};
}

void add_size(Inspection& inspection, const quant::NamedScheme& named, std::int64_t group_size) {
  std::optional<SchemeSize> smallest;
  for (const layout::Layout* layout : layout::layouts()) {
    try {
      const SchemeSize size = size_in_format(inspection, *layout, named.id, group_size);
      if (!smallest || size.bytes < smallest->bytes) smallest = size;
    } catch (const Error& refusal) {
      if (refusal.kind() != ErrorKind::unsupported) throw;
    }
  }
  if (smallest) inspection.sizes.push_back(*smallest);
}

/// How config.json says that the weights are quantized, in words; "" when it says nothing.
std::string other_quantization(const std::filesystem::path& folder) {
  const std::optional<StatedQuantization> stated = stated_quantization(folder);
  if (!stated.has_value()) return "";
  if (const auto blocks = fp8_blocks(*stated); blocks.has_value()) {
    return fmt::format("FP8 in blocks of {} x {}, which quantize, eval, compare and "
                       "generate read as bf16",
                       blocks->rows, blocks->columns);
  }
  return fmt::format("{}, which Pare does not read", stated->text());
}

/// The files of a quantized folder, and what they say of themselves.
void open_quantized(Inspection& out, const layout::Layout& layout,
                    const std::filesystem::path& folder) {
  const auto checkpoint = layout.open(folder);
  const std::vector<std::string> linears = checkpoint->linears();
  const std::string scheme =
      linears.empty() ? "" : checkpoint->linear(linears.front())->linear.scheme.text();
  out.quantized = fmt::format("{} linears as {}, format {}", linears.size(), scheme, layout.id);
  out.source = checkpoint->stored();
}

/// The tensors of a folder, also of one whose layout cannot be read: that is said and no error.
void open_folder(Inspection& out, const std::filesystem::path& folder) {
  const layout::Layout* layout = layout::layout_of(folder);
  if (layout == nullptr) {
    out.source = open_weight_source(folder);
    out.quantized = folder.extension() == ".gguf" ? "a GGUF file by itself, without its config.json"
                                                  : other_quantization(folder);
    return;
  }
  try {
    open_quantized(out, *layout, folder);
  } catch (const Error& problem) {
    const ErrorKind kind = problem.kind();
    const bool told = kind == ErrorKind::unsupported || kind == ErrorKind::bad_format ||
                      kind == ErrorKind::not_found;
    if (!told) throw;
    out.source = open_weight_source(folder);
    out.quantized = fmt::format("format {}, not readable: {}", layout->id, problem.detail());
  }
}

/// Rows (output channels) and columns (input channels) of a matrix that hold nothing but zeros.
struct DeadChannels {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

DeadChannels count_dead(const TensorView& matrix) {
  const std::int64_t columns = matrix.shape[1];
  std::vector<float> row(static_cast<std::size_t>(columns));
  std::vector<char> alive(static_cast<std::size_t>(columns), 0);
  DeadChannels dead;
  for (std::int64_t r = 0; r < matrix.shape[0]; ++r) {
    read_floats(matrix, r * columns, row);
    bool row_alive = false;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const bool nonzero = row[c] != 0;
      alive[c] = static_cast<char>(alive[c] | static_cast<char>(nonzero));
      row_alive |= nonzero;
    }
    dead.rows += row_alive ? 0 : 1;
  }
  dead.columns = std::count(alive.begin(), alive.end(), 0);
  return dead;
}

void scan_tensor(const Context& ctx, const TensorView& tensor, const std::string& name,
                 std::vector<ValueProblem>& problems) {
  if (!all_finite(ctx, tensor)) problems.push_back({name, "holds NaN or infinity"});
  if (tensor.shape.rank() != 2) return;
  const DeadChannels dead = count_dead(tensor);
  const auto report = [&](std::int64_t count, std::int64_t of, const char* what) {
    if (count > 0) problems.push_back({name, fmt::format("{} of {} {} are all zero", count, of, what)});
  };
  report(dead.rows, tensor.shape[0], "rows");
  report(dead.columns, tensor.shape[1], "columns");
}

void scan_values(const Context& ctx, Inspection& out) {
  out.scanned = true;
  std::int64_t done = 0;
  for (const containers::TensorInfo& info : out.source->tensors()) {
    ctx.check_cancelled();
    ctx.progress({.stage = "scanning", .item = info.name, .done = done++,
                  .total = static_cast<std::int64_t>(out.source->tensors().size()), .note = {}});
    if (is_weight_float(info.dtype) && info.shape.numel() > 0) {
      scan_tensor(ctx, out.source->read(info.name), info.name, out.problems);
    }
    out.source->release(info.name);
  }
}

/// nullopt when none of the files is packed.
std::optional<PackedSizes> packed_sizes(const containers::TensorSource& source) {
  PackedSizes sizes;
  bool any = false;
  for (const std::filesystem::path& path : source.files()) {
    const std::size_t stored = std::filesystem::file_size(path);
    const bool packed = containers::is_packed_file(path);
    sizes.packed_bytes += stored;
    sizes.original_bytes += packed ? containers::PackedFile(path).manifest().size : stored;
    any = any || packed;
  }
  return any ? std::optional(sizes) : std::nullopt;
}

}  // namespace

Inspection inspect(const Context& ctx, const std::filesystem::path& model, bool scan) {
  Inspection out;
  open_folder(out, model);
  out.packed = packed_sizes(*out.source);
  for (const containers::TensorInfo& info : out.source->tensors()) {
    out.parameters += info.shape.numel();
    out.bytes += info.nbytes();
  }
  read_architecture(out, model);
  if (out.graph.has_value()) out.parameters -= copied_head_weights(*out.graph, *out.source);
  if (out.quantized.empty()) {
    out.linears = out.graph.has_value() ? linears_of(*out.graph)
                                        : linears_by_name(*out.source);
  }
  if (out.linears.size() > 1) {
    for (const quant::NamedScheme& named : quant::named_schemes()) {
      add_size(out, named, 0);
      if (named.weight_bits < 8) add_size(out, named, 64);
    }
  }
  if (scan) scan_values(ctx, out);
  return out;
}

}  // namespace pare::pipeline
