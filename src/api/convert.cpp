// A quantized model in another layout.
#include "pare/convert.h"

#include "io/json.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "pipeline/convert/convert.h"
#include "pipeline/open/model_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pare {
namespace {

bool has_param(std::span<const ParamSpec> specs, std::string_view name) {
  return std::any_of(specs.begin(), specs.end(),
                     [&](const ParamSpec& spec) { return spec.name == name; });
}

std::vector<ParamSpec> collect_params() {
  std::vector<ParamSpec> all;
  for (const layout::Layout* layout : layout::layouts()) {
    for (const ParamSpec& spec : layout->params) {
      if (!has_param(all, spec.name)) all.push_back(spec);
    }
  }
  return all;
}

void refuse_params_of_others(const ParamMap& params, const layout::Layout& to) {
  for (const ParamSpec& spec : layout_params()) {
    if (!params.given(spec.name) || has_param(to.params, spec.name)) continue;
    throw Error(ErrorCode::bad_option_value,
                fmt::format("{} means nothing for {}", option_name(spec.name), to.id))
        .hint("leave it out, or choose the layout it belongs to: `pare list exporters`");
  }
}

pipeline::ConvertJob convert_job(Job&& job, std::string_view to) {
  const layout::Layout& layout = layout::find_layout(to);
  refuse_params_of_others(job.params, layout);
  job.params.fill_defaults(layout_params());
  return {.out = std::move(job.out),
          .to = &layout,
          .params = std::move(job.params),
          .overwrite = job.run.overwrite};
}

ConvertReport report_of(const pipeline::ConvertSource& source, const pipeline::ConvertJob& job,
                        const pipeline::ConvertResult& result) {
  const pipeline::OutputRecord& output = result.output();
  return {.out = job.out,
          .from = source.layout,
          .to = std::string(job.to->id),
          .linears = result.run.linears.size(),
          .verified_tensors = output.verified_tensors,
          .scales = static_cast<std::int64_t>(result.fit.scales.scales),
          .scales_rounded = static_cast<std::int64_t>(result.fit.scales.changed),
          .worst_scale_change = result.fit.scales.worst,
          .refitted_groups = result.fit.refitted_groups,
          .max_weight_difference = result.weight_difference,
          .max_float_difference = output.floats.worst,
          .seconds = result.run.seconds_total,
          .seconds_verifying = result.run.seconds_verifying,
          .peak_rss_bytes = result.run.peak_rss,
          .lines = pipeline::describe_conversion(job, result)};
}

io::Json done_event(const ConvertReport& report) {
  return {{"out", report.out.string()},
          {"from", report.from},
          {"to", report.to},
          {"linears", report.linears},
          {"tensors_verified", report.verified_tensors},
          {"scales", report.scales},
          {"scales_rounded", report.scales_rounded},
          {"worst_scale_change", report.worst_scale_change},
          {"refitted_groups", report.refitted_groups},
          {"max_weight_difference", report.max_weight_difference},
          {"max_float_difference", report.max_float_difference},
          {"seconds", report.seconds},
          {"seconds_verifying", report.seconds_verifying},
          {"peak_rss_bytes", report.peak_rss_bytes}};
}

}  // namespace

std::span<const ParamSpec> layout_params() {
  static const std::vector<ParamSpec> kAll = collect_params();
  return kAll;
}

std::vector<ToolLayout> ms_to_vllm_tools() {
  std::vector<ToolLayout> tools;
  for (const layout::Layout* layout : layout::layouts()) {
    if (!layout->ms_to_vllm_tool.empty()) tools.push_back({layout->ms_to_vllm_tool, layout->id});
  }
  std::sort(tools.begin(), tools.end(),
            [](const ToolLayout& a, const ToolLayout& b) { return a.tool < b.tool; });
  return tools;
}

struct Conversion::Impl {
  pipeline::ConvertJob job;
  pipeline::ConvertSource source;
};

Conversion::Conversion(Job job, std::string_view to) : impl_(std::make_unique<Impl>()) {
  const std::filesystem::path model = job.model;
  impl_->job = convert_job(std::move(job), to);
  impl_->source = pipeline::open_quantized(pipeline::model_folder(model));
}

Conversion::Conversion(Job job, const std::filesystem::path& description, std::string_view to)
    : impl_(std::make_unique<Impl>()) {
  const std::filesystem::path model = job.model;
  impl_->job = convert_job(std::move(job), to);
  impl_->source = pipeline::open_described_files(model, description);
}

Conversion::~Conversion() = default;
Conversion::Conversion(Conversion&&) noexcept = default;
Conversion& Conversion::operator=(Conversion&&) noexcept = default;

const std::filesystem::path& Conversion::folder() const noexcept { return impl_->source.folder; }

std::string_view Conversion::from() const noexcept { return impl_->source.layout; }

std::string_view Conversion::to() const noexcept { return impl_->job.to->id; }

std::vector<LinearBits> Conversion::weight_bits() const {
  std::vector<LinearBits> all;
  for (std::string& name : impl_->source.checkpoint->linears()) {
    const int bits = impl_->source.checkpoint->header(name).scheme.weight_bits;
    impl_->source.checkpoint->release(name);
    all.push_back({std::move(name), bits});
  }
  return all;
}

ConvertReport Conversion::run(const Context& ctx) const {
  const pipeline::ConvertResult result = pipeline::convert(ctx, impl_->source, impl_->job);
  ConvertReport report = report_of(impl_->source, impl_->job, result);
  ctx.event("done", done_event(report).dump());
  return report;
}

}  // namespace pare
