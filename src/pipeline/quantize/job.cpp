#include "pipeline/quantize/job.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "calib/stats.h"
#include "pare/error.h"
#include "quant/named_schemes.h"
#include "transform/transform.h"

namespace pare::pipeline {
namespace {

// Options of observers and transforms stand between these two, where `--help` has them.
constexpr std::array kJobParams = {
    ParamSpec{.name = "scheme", .type = ParamType::text,
              .help = "what to quantize to (see `pare list schemes`)"},
    ParamSpec{.name = "method", .type = ParamType::text,
              .help = "how weights become codes (see `pare list methods`; default: the scheme's own)"},
    ParamSpec{.name = "format", .type = ParamType::text, .default_value = "ascend",
              .help = "layout of the output (see `pare list exporters`); several, as in ascend,gptq, "
                      "get the same codes and a subfolder each"},
    ParamSpec{.name = "group_size", .type = ParamType::integer, .choices = "32|64|128|256",
              .help = "input columns that share one weight scale (default: one scale per row)"},
    ParamSpec{.name = "mm_tensor", .type = ParamType::flag,
              .help = "one weight scale for the whole matrix instead of one per row"},
    ParamSpec{.name = "asym", .type = ParamType::flag,
              .help = "asymmetric weights with a zero point (weight-only schemes)"},
    ParamSpec{.name = "calib", .type = ParamType::text,
              .help = "calibration text: .jsonl, .json, .csv or .txt, or token ids in .jsonl"},
    ParamSpec{.name = "template", .type = ParamType::text,
              .help = "prompt made of a line's fields, as in \"{passage}\\nQuestion:{question}?\""},
    ParamSpec{.name = "count", .type = ParamType::integer, .min = 1, .max = 1e9,
              .help = "use the first N samples"},
    ParamSpec{.name = "max_tokens", .type = ParamType::integer, .min = 1, .max = 1e6,
              .help = "cut longer samples into pieces of N tokens (nothing is dropped)"},
    ParamSpec{.name = "pack", .type = ParamType::integer, .min = 2, .max = 1e6,
              .help = "join all samples and cut them into windows of N tokens"},
};

constexpr std::array kCoverageParams = {
    ParamSpec{.name = "disable_names", .type = ParamType::list,
              .help = "linears to keep in float: names, or patterns with * and ?, as in a,b"},
    ParamSpec{.name = "disable_level", .type = ParamType::text, .default_value = "L0",
              .help = "also keep the N linears whose inputs are hardest to quantize: L0, L1, …"},
    ParamSpec{.name = "quantize_last_linear", .type = ParamType::flag,
              .help = "quantize the last linear (lm_head) too"},
    ParamSpec{.name = "compute", .type = ParamType::choice, .default_value = "auto",
              .choices = "auto|f32|bf16",
              .help = "arithmetic of the calibration forward; auto = bf16 for bf16 models on a CPU "
                      "with bf16 instructions"},
};

/// Adds specs; a name shared by several counts once.
void add_params(std::vector<ParamSpec>& all, std::span<const ParamSpec> specs) {
  for (const ParamSpec& spec : specs) {
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const ParamSpec& s) { return s.name == spec.name; });
    if (!known) all.push_back(spec);
  }
}

/// Those that every job has.
std::vector<ParamSpec> job_params() {
  std::vector<ParamSpec> all(kJobParams.begin(), kJobParams.end());
  add_params(all, calib::observer_params());
  for (const transform::Transform* transform : transform::transforms()) {
    add_params(all, transform->params);
  }
  add_params(all, kCoverageParams);
  return all;
}

std::vector<ParamSpec> collect_params() {
  std::vector<ParamSpec> all = job_params();
  for (const quant::Method* method : quant::methods()) add_params(all, method->params);
  for (const layout::Layout* layout : layout::layouts()) add_params(all, layout->params);
  return all;
}

quant::Granularity read_granularity(const ParamMap& params) {
  const bool per_tensor = params.flag("mm_tensor");
  const bool per_group = params.integer("group_size") > 0;
  if (per_tensor && per_group) {
    throw Error(ErrorCode::bad_option_value, "mm_tensor and group_size exclude each other")
        .hint("give one of them, or none for one scale per row");
  }
  if (per_tensor) return quant::Granularity::tensor;
  return per_group ? quant::Granularity::group : quant::Granularity::channel;
}

/// "ascend,gptq": spaces do not count.
std::vector<const layout::Layout*> read_formats(std::string text) {
  std::erase(text, ' ');
  std::vector<const layout::Layout*> layouts;
  for (std::size_t first = 0; first <= text.size();) {
    const std::size_t comma = std::min(text.find(',', first), text.size());
    const layout::Layout& layout = layout::find_layout(text.substr(first, comma - first));
    if (std::find(layouts.begin(), layouts.end(), &layout) != layouts.end()) {
      throw Error(ErrorCode::bad_option_value, fmt::format("format {} is given twice", layout.id));
    }
    layouts.push_back(&layout);
    first = comma + 1;
  }
  return layouts;
}

void refuse_scheme(const QuantSpec& spec, const layout::Layout& layout) {
  const std::string_view method_reason = spec.method->refuses(spec.scheme);
  const std::string reason =
      method_reason.empty() ? layout.refuses(spec.scheme) : std::string(method_reason);
  if (reason.empty()) return;
  throw Error(ErrorCode::scheme_not_supported,
              fmt::format("{} with method {} and format {}: {}", spec.scheme.text(),
                          spec.method->id, layout.id, reason));
}

}  // namespace

std::span<const ParamSpec> recipe_params() {
  static const std::vector<ParamSpec> kAll = collect_params();
  return kAll;
}

QuantSpec read_quant_spec(const ParamMap& params) {
  const std::string name = params.text("scheme");
  if (name.empty()) {
    throw Error(ErrorCode::bad_usage, "no scheme given")
        .hint(fmt::format("add --scheme with one of {}", quant::named_scheme_choices()));
  }
  const quant::NamedScheme& named = quant::find_named_scheme(name);
  QuantSpec spec;
  spec.scheme.weight_bits = named.weight_bits;
  spec.scheme.activations = named.activations;
  spec.scheme.form = named.form;
  spec.scheme.symmetric = !params.flag("asym");
  spec.scheme.granularity = read_granularity(params);
  spec.scheme.group_size = params.integer("group_size");
  spec.scheme_tag = named.scheme_tag;
  spec.method = &quant::find_method(params.text("method", std::string(named.default_method)));
  spec.layouts = read_formats(params.text("format"));
  for (const layout::Layout* layout : spec.layouts) refuse_scheme(spec, *layout);
  return spec;
}

std::string QuantSpec::formats() const {
  std::string text;
  for (const layout::Layout* layout : layouts) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", layout->id);
  }
  return text;
}

std::size_t parse_level(const std::string& level) {
  std::size_t count = 0;
  const char* first = level.data() + 1;
  const char* last = level.data() + level.size();
  const bool canonical = level == "L0" || (level.size() > 1 && level[1] != '0');
  if (level.empty() || level[0] != 'L' || !canonical ||
      std::from_chars(first, last, count) != std::from_chars_result{last, std::errc{}}) {
    throw Error(ErrorCode::bad_option_value, fmt::format("disable_level = \"{}\"", level))
        .hint("allowed: L0, L1, L2, … without leading zeros");
  }
  return count;
}

void refuse_existing_output(const Job& job) {
  if (job.run.dry_run) return;
  if (job.out.empty()) {
    throw Error(ErrorCode::bad_usage, "no output folder given").hint("add -o FOLDER, or --dry-run");
  }
  if (!std::filesystem::exists(job.out) || job.run.overwrite) return;
  throw Error(ErrorCode::output_exists, job.out.string())
      .hint("choose another folder, or add --force to replace what pare wrote there before");
}

std::vector<ParamSpec> params_of(const QuantSpec& spec) {
  std::vector<ParamSpec> specs = job_params();
  add_params(specs, spec.method->params);
  for (const layout::Layout* layout : spec.layouts) add_params(specs, layout->params);
  return specs;
}

void refuse_foreign_params(const ParamMap& params, const QuantSpec& spec) {
  const std::vector<ParamSpec> ours = params_of(spec);
  for (const ParamSpec& param : recipe_params()) {
    const bool known = std::any_of(ours.begin(), ours.end(),
                                   [&](const ParamSpec& s) { return s.name == param.name; });
    if (known || !params.given(param.name)) continue;
    throw Error(ErrorCode::bad_option_value,
                fmt::format("{} means nothing for method {} and format {}", param.name,
                            spec.method->id, spec.formats()))
        .hint(fmt::format("leave {} out, or choose the method or format it belongs to", param.name));
  }
}

}  // namespace pare::pipeline
