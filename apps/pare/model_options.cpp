#include "model_options.h"

#include <fmt/format.h>

namespace pare::app {

kernels::Compute compute_of(const ParamMap& values) {
  return pipeline::parse_compute(values.text("compute"), kernels::Compute::f32);
}

std::string_view compute_name(kernels::Compute compute) noexcept {
  return compute == kernels::Compute::f32 ? "f32" : "bf16";
}

std::string label_of(const pipeline::OpenModel& model) {
  return fmt::format("{} ({}, {})", model.folder().string(), model.graph().config.architecture,
                     model.kind());
}

void add_run_facts(io::Json& object, const Session& session, kernels::Compute compute,
                   const Stopwatch& watch) {
  object["compute"] = compute_name(compute);
  object["threads"] = session.ctx.threads();
  object["seconds"] = watch.seconds();
  object["peak_rss_bytes"] = peak_rss_bytes();
}

}  // namespace pare::app
