// The plan in lines for people: what --dry-run prints.
#include "layouts/layout.h"
#include "pare/job.h"
#include "pipeline/quantize/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

namespace pare::pipeline {
namespace {

/// Parts that few plans have.
std::string optional_parts(const MemoryEstimate& m) {
  std::string text;
  if (m.transforms > 0) text += fmt::format(" + smoothing {}", human_bytes(m.transforms));
  if (m.gram > 0) text += fmt::format(" + Gram matrices {}", human_bytes(m.gram));
  return text;
}

std::string memory_line(const MemoryEstimate& m) {
  std::string text = fmt::format("  memory     peak {} = program {} + the largest of ",
                                 human_bytes(m.total()), human_bytes(m.program));
  if (m.tokenizer > 0) text += fmt::format("the tokenizer {}, ", human_bytes(m.tokenizer));
  text += fmt::format("copying {}, verifying {} and ", human_bytes(m.copy), human_bytes(m.verify));
  if (m.hidden > 0) {
    text += fmt::format("hidden states {} + block {} + statistics {} + forward {} + ",
                        human_bytes(m.hidden), human_bytes(m.block), human_bytes(m.statistics),
                        human_bytes(m.forward));
  }
  return text + fmt::format("one linear {}", human_bytes(m.linear)) + optional_parts(m);
}

/// Kept linears grouped by reason, so that a long list stays readable.
std::vector<std::string> kept_lines(const Plan& plan) {
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const model::Module& linear : plan.linears.all()) {
    const std::string& reason = plan.linears.kept_because(linear.name);
    if (!reason.empty()) by_reason[reason].push_back(linear.name);
  }
  std::vector<std::string> lines;
  for (const auto& [reason, names] : by_reason) {
    const std::string more =
        names.size() > 1 ? fmt::format(" and {} more", names.size() - 1) : std::string();
    lines.push_back(fmt::format("  kept       {}{}: {}", names.front(), more, reason));
  }
  return lines;
}

/// What becomes of a head that is tied to the embedding; nothing for others.
std::vector<std::string> head_lines(const Plan& plan) {
  if (!plan.graph.has_value() || !plan.graph->config.tied_head) return {};
  const model::Module& head = plan.graph->module(model::Role::head);
  if (plan.linears.quantizes(head)) {
    return {"  head       tied to the embedding; quantized, it becomes a tensor of its own"};
  }
  std::vector<std::string_view> copied;
  for (const layout::OutputPlan& output : plan.outputs) {
    if (output.layout->tied_head == layout::TiedHead::copied) copied.push_back(output.layout->id);
  }
  if (copied.empty()) return {"  head       tied to the embedding: written once, as in the source"};
  const std::size_t bytes = plan.source->find(head.source)->nbytes();
  return {
      fmt::format("  head       tied to the embedding; engines of {} look for it under its own "
                  "name, so it is written there a second time ({})",
                  fmt::join(copied, " and "), human_bytes(bytes))};
}

std::string size_line(const Plan& plan, const layout::OutputPlan& output) {
  const double bits = static_cast<double>(output.bytes) * 8 / static_cast<double>(plan.parameters);
  const std::string which = output.subfolder.empty() ? "" : " as " + output.subfolder;
  return fmt::format("  size       {} -> {}{}, {:.2f} bits per parameter",
                     human_bytes(plan.input_bytes), human_bytes(output.bytes), which, bits);
}

std::string time_text(double seconds) {
  if (seconds < 90) return fmt::format("about {:.0f} s", std::max(1.0, seconds));
  return fmt::format("about {:.0f} min", seconds / 60);
}

}  // namespace

std::vector<std::string> describe_calibration(const text::Dataset& data) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format(
      "  calibrate  {} samples, {} tokens (min {}, median {}, max {}), BOS {}, ids sha256 {}",
      data.sequences.size(), data.tokens(), data.min_tokens(), data.median_tokens(),
      data.max_tokens(), data.has_bos ? "yes" : "no", data.ids_sha256.substr(0, 16)));
  std::string skipped =
      fmt::format("  lines      {} read, {} skipped", data.lines_read, data.lines_skipped);
  for (const std::string& reason : data.skip_reasons)
    skipped += "; " + reason;
  lines.push_back(skipped);
  if (!data.first_tokens_text.empty()) {
    std::string start = data.first_tokens_text;
    for (char& c : start)
      c = c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
    lines.push_back(fmt::format("  begins     {}", start));
  }
  return lines;
}

std::vector<std::string> describe(const Plan& plan) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("  model      {}, {:.2f} M parameters, {}", plan.model_label,
                              static_cast<double>(plan.parameters) / 1e6,
                              name_of(plan.model_dtype)));
  lines.push_back(fmt::format("  covers     {}/{} linears as {}, method {}, format {}",
                              plan.linears.quantized_count(), plan.linears.all().size(),
                              plan.spec.scheme.text(), plan.spec.method->id, plan.spec.formats()));
  for (std::string& line : kept_lines(plan))
    lines.push_back(std::move(line));
  for (std::string& line : head_lines(plan))
    lines.push_back(std::move(line));
  for (const layout::DroppedTensor& d : plan.outputs.front().dropped) {
    lines.push_back(fmt::format("  dropped    {}: {}", d.name, d.rule));
  }
  if (plan.calibration.has_value()) {
    for (std::string& line : describe_calibration(*plan.calibration)) {
      lines.push_back(std::move(line));
    }
  }
  for (std::string& line : describe_companions(plan.companions)) lines.push_back(std::move(line));
  for (const layout::OutputPlan& output : plan.outputs) lines.push_back(size_line(plan, output));
  lines.push_back(memory_line(plan.memory));
  std::string time = fmt::format("  time       {}", time_text(plan.seconds_estimate));
  if (plan.calibration.has_value()) {
    time += fmt::format(", computing in {} on {}",
                        plan.compute == kernels::Compute::bf16 ? "bf16" : "f32",
                        kernels::isa_name(kernels::current_isa()));
  }
  lines.push_back(time);
  return lines;
}

}  // namespace pare::pipeline
