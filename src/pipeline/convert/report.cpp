// What a conversion did, for machines (report.json) and for people.
#include "io/json.h"
#include "pipeline/convert/convert.h"
#include "pare/job.h"
#include "layouts/layout.h"

#include <fmt/format.h>

namespace pare::pipeline {
namespace {

std::string_view scale_type(const ConvertJob& job) {
  return job.to->scale_dtype.has_value() ? name_of(*job.to->scale_dtype) : "";
}

std::string_view float_type(const ConvertJob& job) {
  return job.to->float_dtype.has_value() ? name_of(*job.to->float_dtype) : "the type asked for";
}

std::string scales_line(const ConvertJob& job, const layout::ScaleRounding& scales) {
  if (scales.changed == 0) return "every scale is exact";
  std::string text = fmt::format("{} of {} scales rounded to {}, by a factor of at most 1 ± {:.2g}",
                                 scales.changed, scales.scales, scale_type(job), scales.worst);
  if (scales.subnormal > 0) text += fmt::format("; {} are subnormal", scales.subnormal);
  return text;
}

std::string weights_line(const ConvertJob& job, const ConvertResult& result) {
  if (result.weight_difference == 0) return "largest difference 0: every weight is the same";
  const bool refitted = result.fit.refitted_groups > 0;
  const std::string why = job.to->plain_floats ? "rounding to the type of the model"
                          : refitted           ? "groups quantized again, and rounded scales"
                                               : "rounded scales";
  return fmt::format("largest difference {:.3g}, from {}", result.weight_difference, why);
}

}  // namespace

std::string convert_report(const ConvertSource& source, const ConvertJob& job,
                           const ConvertResult& result) {
  const layout::ScaleRounding& scales = result.fit.scales;
  const OutputRecord& output = result.output();
  io::Json json;
  json["schema"] = 1;
  json["tool"] = "pare " PARE_VERSION;
  json["converted"] = {{"from", source.layout}, {"to", job.to->id}};
  json["coverage"] = {{"linears", result.run.linears.size()},
                      {"tensors_copied", result.copied},
                      {"tensors_dropped", result.dropped.size()},
                      {"source_tensors", result.source_tensors},
                      {"tensors_verified", output.verified_tensors}};
  json["scales"] = {{"count", scales.scales},
                    {"rounded", scales.changed},
                    {"subnormal", scales.subnormal},
                    {"worst_relative_change", scales.worst}};
  json["refitted_groups"] = result.fit.refitted_groups;
  json["max_weight_difference"] = result.weight_difference;
  json["float_tensors"] = {{"rounded", output.floats.tensors},
                           {"max_difference", output.floats.worst}};
  json["size_bytes"] = {{"input", result.input_bytes}, {"output", output.bytes}};
  json["seconds"] = {{"converting", result.run.seconds_writing},
                     {"verifying", result.run.seconds_verifying},
                     {"total", result.run.seconds_total}};
  json["peak_rss_bytes"] = result.run.peak_rss;
  json["dropped"] = io::Json::array();
  for (const layout::DroppedTensor& d : result.dropped) {
    json["dropped"].push_back({{"name", d.name}, {"rule", d.rule}});
  }
  json["files"] = companions_json(result.companions);
  return json.dump(2) + "\n";
}

std::vector<std::string> describe_conversion(const ConvertJob& job, const ConvertResult& result) {
  const OutputRecord& output = result.output();
  std::vector<std::string> lines;
  lines.push_back(
      fmt::format("  covered    {} linears and {} float tensors, {} left out; all {} "
                  "tensors of the source accounted for",
                  result.run.linears.size(), result.copied, result.dropped.size(), result.source_tensors));
  for (const layout::DroppedTensor& d : result.dropped) {
    lines.push_back(fmt::format("             left out {}: {}", d.name, d.rule));
  }
  if (!job.to->plain_floats) {
    lines.push_back("  scales     " + scales_line(job, result.fit.scales));
  }
  if (result.fit.refitted_groups > 0) {
    lines.push_back(fmt::format("  refitted   {} groups, whose zero point has no place in {}",
                                result.fit.refitted_groups, job.to->id));
  }
  lines.push_back("  weights    " + weights_line(job, result));
  if (output.floats.tensors > 0) {
    lines.push_back(fmt::format("  floats     {} tensors rounded to {}, by at most {:.3g}",
                                output.floats.tensors, float_type(job),
                                output.floats.worst));
  }
  lines.push_back(fmt::format(
      "  verified   {} tensors: read again, decoded, and what the source holds", output.verified_tensors));
  for (std::string& line : describe_companions(result.companions)) lines.push_back(std::move(line));
  lines.push_back(fmt::format("  size       {} -> {}", human_bytes(result.input_bytes),
                              human_bytes(output.bytes)));
  lines.push_back(fmt::format("  took       {:.1f} s, of which {:.1f} s to verify; peak memory {}",
                              result.run.seconds_total, result.run.seconds_verifying,
                              human_bytes(result.run.peak_rss)));
  lines.push_back(fmt::format("  wrote      {}", job.out.string()));
  return lines;
}

}  // namespace pare::pipeline
