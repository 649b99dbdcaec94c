// What a conversion did, for machines (report.json) and for people.
#include "io/json.h"
#include "pipeline/convert/convert.h"
#include "pipeline/quantize/job.h"

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

std::string weights_line(const ConvertJob& job, const ConvertVerdict& proof) {
  if (proof.weight_difference == 0) return "largest difference 0: every weight is the same";
  const bool refitted = proof.fitting.refitted_groups > 0;
  const std::string why = job.to->plain_floats ? "rounding to the type of the model"
                          : refitted           ? "groups quantized again, and rounded scales"
                                               : "rounded scales";
  return fmt::format("largest difference {:.3g}, from {}", proof.weight_difference, why);
}

}  // namespace

std::string convert_report(const ConvertSource& source, const ConvertJob& job,
                           const ConvertResult& result) {
  const ConvertVerdict& proof = result.proof;
  const layout::ScaleRounding& scales = proof.fitting.scales;
  io::Json json;
  json["schema"] = 1;
  json["tool"] = "pare " PARE_VERSION;
  json["converted"] = {{"from", source.layout}, {"to", job.to->id}};
  json["coverage"] = {{"linears", result.linears},
                      {"tensors_copied", result.copied},
                      {"tensors_dropped", result.dropped.size()},
                      {"source_tensors", result.source_tensors},
                      {"tensors_verified", proof.tensors}};
  json["scales"] = {{"count", scales.scales},
                    {"rounded", scales.changed},
                    {"subnormal", scales.subnormal},
                    {"worst_relative_change", scales.worst}};
  json["refitted_groups"] = proof.fitting.refitted_groups;
  json["max_weight_difference"] = proof.weight_difference;
  json["float_tensors"] = {{"rounded", proof.floats.tensors},
                           {"max_difference", proof.floats.worst}};
  json["size_bytes"] = {{"input", result.input_bytes}, {"output", result.output_bytes}};
  json["seconds"] = {{"converting", result.seconds_converting},
                     {"verifying", result.seconds_verifying},
                     {"total", result.seconds_total}};
  json["peak_rss_bytes"] = result.peak_rss;
  json["dropped"] = io::Json::array();
  for (const DroppedTensor& d : result.dropped) {
    json["dropped"].push_back({{"name", d.name}, {"rule", d.rule}});
  }
  return json.dump(2) + "\n";
}

std::vector<std::string> describe_conversion(const ConvertJob& job, const ConvertResult& result) {
  const ConvertVerdict& proof = result.proof;
  std::vector<std::string> lines;
  lines.push_back(
      fmt::format("  covered    {} linears and {} float tensors, {} left out; all {} "
                  "tensors of the source accounted for",
                  result.linears, result.copied, result.dropped.size(), result.source_tensors));
  for (const DroppedTensor& d : result.dropped) {
    lines.push_back(fmt::format("             left out {}: {}", d.name, d.rule));
  }
  if (!job.to->plain_floats) {
    lines.push_back("  scales     " + scales_line(job, proof.fitting.scales));
  }
  if (proof.fitting.refitted_groups > 0) {
    lines.push_back(fmt::format("  refitted   {} groups, whose zero point has no place in {}",
                                proof.fitting.refitted_groups, job.to->id));
  }
  lines.push_back("  weights    " + weights_line(job, proof));
  if (proof.floats.tensors > 0) {
    lines.push_back(fmt::format("  floats     {} tensors rounded to {}, by at most {:.3g}",
                                proof.floats.tensors, float_type(job),
                                proof.floats.worst));
  }
  lines.push_back(fmt::format(
      "  verified   {} tensors: read again, decoded, and what the source holds", proof.tensors));
  lines.push_back(fmt::format("  size       {} -> {}", human_bytes(result.input_bytes),
                              human_bytes(result.output_bytes)));
  lines.push_back(fmt::format("  took       {:.1f} s, of which {:.1f} s to verify; peak memory {}",
                              result.seconds_total, result.seconds_verifying,
                              human_bytes(result.peak_rss)));
  lines.push_back(fmt::format("  wrote      {}", job.out.string()));
  return lines;
}

}  // namespace pare::pipeline
