#include "pipeline/quantize/report.h"

#include "io/file.h"
#include "io/hash.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "pare/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pare::pipeline {
namespace {

/// JSON has no infinity: an exact result has no SQNR.
io::Json decibels(const quant::Distortion& d) {
  const double db = d.sqnr_db();
  return std::isfinite(db) ? io::Json(std::round(db * 100) / 100) : io::Json(nullptr);
}

double rounded(double value, double steps) { return std::round(value * steps) / steps; }

/// Shares of zeros and outliers, entropy, and bits per weight once compressed.
io::Json codes_json(const CodeStats& codes, bool sparse) {
  io::Json json = {{"zeros", rounded(codes.zeros, 1e6)},
                   {"entropy_bits", rounded(codes.entropy_bits, 1e4)},
                   {"packed_bits", rounded(codes.coded_bits, 1e4)}};
  if (sparse) json["outliers"] = rounded(codes.outliers, 1e6);
  return json;
}

bool is_sparse(const Plan& plan) { return plan.spec.scheme.form == quant::CodeForm::outliers; }

CodeTotals code_totals(const QuantizeResult& result) {
  CodeTotals totals;
  for (const LinearRecord& r : result.run.linears)
    totals.add(r.codes, r.out * r.in);
  return totals;
}

io::Json linear_json(const Plan& plan, const LinearRecord& r) {
  io::Json json = {{"name", r.name},
                   {"shape", {r.out, r.in}},
                   {"scheme", plan.spec.scheme.text()},
                   {"bits", std::round(r.bits_per_weight * 1e4) / 1e4},
                   {"weight_sqnr_db", decibels(r.weight)},
                   {"weight_max_error", r.weight.max_abs_error}};
  json["codes"] = codes_json(r.codes, is_sparse(plan));
  json["output_sqnr_db"] = r.output.has_value() ? decibels(*r.output) : io::Json(nullptr);
  if (r.input.has_value()) {
    json["input_scale"] = r.input->scale;
    json["input_offset"] = r.input->zero_point;
  }
  return json;
}

io::Json kept_json(const Plan& plan) {
  io::Json kept = io::Json::array();
  for (const model::Module& linear : plan.linears.all()) {
    const std::string& reason = plan.linears.kept_because(linear.name);
    if (!reason.empty()) kept.push_back({{"name", linear.name}, {"because", reason}});
  }
  return kept;
}

io::Json calibration_json(const text::Dataset& data) {
  return {{"samples", data.sequences.size()},    {"lines_read", data.lines_read},
          {"lines_skipped", data.lines_skipped}, {"tokens", data.tokens()},
          {"tokens_min", data.min_tokens()},     {"tokens_median", data.median_tokens()},
          {"tokens_max", data.max_tokens()},     {"bos", data.has_bos},
          {"ids_sha256", data.ids_sha256}};
}

io::Json recipe_json(const ParamMap& params, std::span<const ParamSpec> specs) {
  io::Json json = io::Json::object();
  for (const ParamSpec& spec : specs) {
    const auto found = params.values().find(spec.name);
    if (found == params.values().end() || found->second.empty()) continue;
    if (spec.type == ParamType::list) {
      json[std::string(spec.name)] = found->second;
    } else {
      json[std::string(spec.name)] = found->second.front();
    }
  }
  return json;
}

io::Json smoothed_json(const QuantizeResult& result) {
  io::Json norms = io::Json::array();
  for (const transform::TransformedGroup& group : result.transformed) {
    const double alpha = std::round(static_cast<double>(group.strength) * 1e4) / 1e4;
    norms.push_back({{"norm", group.producer}, {"alpha", alpha}});
  }
  return norms;
}

std::string config_hash(const Plan& plan) {
  const std::filesystem::path file = plan.job.model / "config.json";
  return std::filesystem::exists(file) ? io::sha256_hex(io::read_text(file)) : "";
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

/// The measure by which linears are ranked: output error where it is known, else weight error.
const quant::Distortion& ranked_by(const LinearRecord& r) {
  return r.output.has_value() ? *r.output : r.weight;
}

/// Size and codes of one output; its name where there are several.
std::vector<std::string> size_lines(const Plan& plan, const QuantizeResult& result,
                                    std::size_t output) {
  const OutputRecord& written = result.run.outputs[output];
  const std::string& folder = plan.outputs[output].subfolder;
  std::vector<std::string> lines;
  lines.push_back(fmt::format("  size       {} -> {}{}, {:.2f} bits per parameter over all files",
                              human_bytes(plan.input_bytes), human_bytes(written.bytes),
                              folder.empty() ? "" : " as " + folder,
                              effective_bits(plan, written)));
  if (plan.outputs[output].layout->plain_floats) return lines;
  std::string codes = code_stats_text(code_totals(result).mean(), is_sparse(plan));
  if (written.packed_estimate.has_value()) {
    codes += fmt::format("; `pare compress` would make about {} of it",
                         human_bytes(*written.packed_estimate));
  }
  lines.push_back("  codes      " + codes);
  return lines;
}

std::vector<std::string> worst_lines(const QuantizeResult& result) {
  constexpr std::size_t kShown = 5;
  std::vector<const LinearRecord*> worst;
  for (const LinearRecord& r : result.run.linears)
    worst.push_back(&r);
  std::stable_sort(worst.begin(), worst.end(), [](const auto* a, const auto* b) {
    return ranked_by(*a).sqnr_db() < ranked_by(*b).sqnr_db();
  });
  worst.resize(std::min(worst.size(), kShown));
  std::vector<std::string> lines;
  lines.push_back(fmt::format("  {:<42} {:>10} {:>10}", "worst linears", "weight", "output"));
  for (const LinearRecord* r : worst) {
    const std::string output =
        r->output.has_value() ? fmt::format("{:.1f} dB", r->output->sqnr_db()) : "-";
    lines.push_back(fmt::format("    {:<40} {:>10} {:>10}", r->name,
                                fmt::format("{:.1f} dB", r->weight.sqnr_db()), output));
  }
  return lines;
}

std::size_t verified_tensors(const QuantizeResult& result) {
  std::size_t sum = 0;
  for (const OutputRecord& output : result.run.outputs)
    sum += output.verified_tensors;
  return sum;
}

}  // namespace

std::string report_json(const Plan& plan, const QuantizeResult& result, std::size_t output) {
  const layout::OutputPlan& planned = plan.outputs[output];
  const OutputRecord& written = result.run.outputs[output];
  io::Json json;
  json["schema"] = 1;
  json["tool"] = "pare " PARE_VERSION;
  json["model"] = plan.model_label;
  json["scheme"] = plan.job.params.text("scheme");
  json["format"] = planned.layout->id;
  json["recipe"] = recipe_json(plan.job.params, params_of(plan.spec));
  json["parameters"] = plan.parameters;
  json["effective_bits"] = std::round(effective_bits(plan, written) * 1e4) / 1e4;
  json["size_bytes"] = {{"input", plan.input_bytes}, {"output", written.bytes}};
  if (written.packed_estimate.has_value()) {
    json["size_bytes"]["packed_estimate"] = *written.packed_estimate;
  }
  json["codes"] = codes_json(code_totals(result).mean(), is_sparse(plan));
  json["coverage"] = {{"linears", plan.linears.all().size()},
                      {"quantized", plan.linears.quantized_count()},
                      {"weights_quantized", plan.linears.quantized_weights()},
                      {"tensors_copied", planned.copied.size()},
                      {"tensors_dropped", planned.dropped.size()},
                      {"tensors_verified", written.verified_tensors}};
  json["seconds"] = {{"planning", result.seconds_planning},
                     {"quantizing", result.run.seconds_writing},
                     {"verifying", result.run.seconds_verifying},
                     {"total", result.seconds_total()}};
  json["peak_rss_bytes"] = result.run.peak_rss;
  json["peak_rss_estimate_bytes"] = plan.memory.total();
  json["compute"] = plan.compute == kernels::Compute::bf16 ? "bf16" : "f32";
  json["isa"] = kernels::isa_name(kernels::current_isa());
  json["hashes"] = {{"config_sha256", config_hash(plan)}};
  if (plan.calibration.has_value()) json["calibration"] = calibration_json(*plan.calibration);
  json["kept"] = kept_json(plan);
  if (!result.transformed.empty()) json["smoothed"] = smoothed_json(result);
  json["dropped"] = io::Json::array();
  for (const layout::DroppedTensor& d : planned.dropped) {
    json["dropped"].push_back({{"name", d.name}, {"rule", d.rule}});
  }
  json["files"] = companions_json(plan.companions);
  json["linears"] = io::Json::array();
  for (const LinearRecord& r : result.run.linears)
    json["linears"].push_back(linear_json(plan, r));
  return json.dump(2) + "\n";
}

std::string outputs_json(const Plan& plan, const QuantizeResult& result) {
  io::Json json = {{"schema", 1}, {"tool", "pare " PARE_VERSION}, {"outputs", io::Json::array()}};
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    json["outputs"].push_back({{"format", plan.outputs[i].layout->id},
                               {"folder", plan.outputs[i].subfolder},
                               {"bytes", result.run.outputs[i].bytes}});
  }
  return json.dump(2) + "\n";
}

std::string done_json(const Plan& plan, const QuantizeResult& result) {
  io::Json json = {{"out", plan.job.out.string()},
                   {"effective_bits", effective_bits(plan, result.run.outputs.front())},
                   {"seconds", result.seconds_total()},
                   {"peak_rss_bytes", result.run.peak_rss}};
  if (plan.outputs.size() == 1) return json.dump();
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    json["outputs"].push_back({{"out", plan.outputs[i].under(plan.job.out).string()},
                               {"effective_bits", effective_bits(plan, result.run.outputs[i])}});
  }
  return json.dump();
}

std::vector<std::string> closing_table(const Plan& plan, const QuantizeResult& result) {
  std::vector<std::string> lines;
  const auto add = [&](std::vector<std::string> more) {
    for (std::string& line : more)
      lines.push_back(std::move(line));
  };
  lines.push_back(fmt::format("  covered    {}/{} linears, {:.1f} % of {:.2f} M parameters as {}",
                              plan.linears.quantized_count(), plan.linears.all().size(),
                              percent(static_cast<double>(plan.linears.quantized_weights()),
                                      static_cast<double>(plan.parameters)),
                              static_cast<double>(plan.parameters) / 1e6, plan.spec.scheme.text()));
  for (std::size_t i = 0; i < plan.outputs.size(); ++i)
    add(size_lines(plan, result, i));
  add(worst_lines(result));
  lines.push_back(fmt::format(
      "  verified   {} tensors read back: names, shapes, codes and scales as meant, no NaN or "
      "infinity; {} source tensors accounted for",
      verified_tensors(result), plan.source->tensors().size()));
  lines.push_back(fmt::format("  took       {:.1f} s, peak memory {}", result.seconds_total(),
                              human_bytes(result.run.peak_rss)));
  for (const layout::OutputPlan& output : plan.outputs) {
    lines.push_back(fmt::format("  wrote      {}", output.under(plan.job.out).string()));
  }
  return lines;
}

}  // namespace pare::pipeline
