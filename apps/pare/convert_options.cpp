#include "convert_options.h"

#include "pare/error.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pare::app {
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

/// Linears take and give back the same few large blocks, over and over. Kept by the allocator, they
/// need not be mapped, cleared and unmapped each time, which took half of the processor's time.
void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kLarge = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
#endif
}

io::Json done_event(const pipeline::ConvertSource& source, const pipeline::ConvertJob& job,
                    const pipeline::ConvertResult& result) {
  const pipeline::OutputRecord& output = result.output();
  return {{"out", job.out.string()},
          {"from", source.layout},
          {"to", job.to->id},
          {"linears", result.run.linears.size()},
          {"tensors_verified", output.verified_tensors},
          {"scales", result.fit.scales.scales},
          {"scales_rounded", result.fit.scales.changed},
          {"worst_scale_change", result.fit.scales.worst},
          {"refitted_groups", result.fit.refitted_groups},
          {"max_weight_difference", result.weight_difference},
          {"max_float_difference", output.floats.worst},
          {"seconds", result.run.seconds_total},
          {"seconds_verifying", result.run.seconds_verifying},
          {"peak_rss_bytes", result.run.peak_rss}};
}

}  // namespace

std::span<const ParamSpec> layout_params() {
  static const std::vector<ParamSpec> kAll = collect_params();
  return kAll;
}

void refuse_params_of_others(const ParamMap& params, const layout::Layout& to) {
  for (const ParamSpec& spec : layout_params()) {
    if (!params.given(spec.name) || has_param(to.params, spec.name)) continue;
    throw Error(ErrorCode::bad_option_value,
                fmt::format("{} means nothing for {}", option_name(spec.name), to.id))
        .hint("leave it out, or choose the layout it belongs to: `pare list exporters`");
  }
}

int run_conversion(Session& session, const pipeline::ConvertSource& source,
                   const pipeline::ConvertJob& job) {
  keep_freed_memory();
  session.console.result(
      fmt::format("{} ({}) -> {}", source.folder.string(), source.layout, job.to->id));
  const pipeline::ConvertResult result = pipeline::convert(session.ctx, source, job);
  session.console.end_progress();
  for (const std::string& line : pipeline::describe_conversion(job, result)) {
    session.console.result(line);
  }
  session.ctx.event("done", done_event(source, job, result).dump());
  return 0;
}

}  // namespace pare::app
