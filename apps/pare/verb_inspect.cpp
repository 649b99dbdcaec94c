// pare inspect: what a model folder is, from its headers.
#include "options/add_options.h"
#include "pare/check.h"
#include "pare/job.h"
#include "verb.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace pare::app {
namespace {

struct Options {
  std::string model;
  bool scan = false;
  bool names = false;
};

Json scheme_json(const SchemeSize& size) {
  return {{"scheme", size.scheme}, {"format", size.format}, {"group_size", size.group_size},
          {"linears", size.linears},
          {"bytes", size.bytes}, {"bits", size.bits}};
}

Json to_json(const FolderFacts& in) {
  Json json = {{"model", in.model},
                   {"architecture", in.shape ? Json(in.shape->architecture) : Json()},
                   {"problem", in.problem},
                   {"quantized", in.quantized},
                   {"parameters", in.parameters},
                   {"bytes", in.bytes},
                   {"tied_head", in.tied_head},
                   {"packed", nullptr}};
  if (in.packed) {
    json["packed"] = {{"original_bytes", in.packed->original_bytes},
                      {"packed_bytes", in.packed->packed_bytes}};
  }
  for (const TensorFacts& t : in.tensors) {
    json["tensors"].push_back({{"name", t.name}, {"dtype", t.type},
                               {"shape", t.shape.dims()}});
  }
  for (const std::string& linear : in.linears) json["linears"].push_back(linear);
  for (const SchemeSize& size : in.sizes) json["schemes"].push_back(scheme_json(size));
  if (in.scanned) {
    json["findings"] = Json::array();
    for (const ValueProblem& f : in.problems) {
      json["findings"].push_back({{"tensor", f.tensor}, {"what", f.what}});
    }
  }
  return json;
}

void show_architecture(Console& console, const FolderFacts& in) {
  console.result(fmt::format("  model      {}", in.model));
  if (!in.shape) {
    console.result(fmt::format("  note       {}", in.problem));
    return;
  }
  const ModelShape& c = *in.shape;
  console.result(fmt::format(
      "  shape      {} layers, hidden {}, intermediate {}, {} heads ({} kv) of {}, vocabulary {}",
      c.layers, c.hidden_size, c.intermediate_size, c.heads, c.kv_heads,
      c.head_dim, c.vocab_size));
  console.result(fmt::format("  head       {}", in.tied_head ? "tied to the embedding" : "its own"));
}

void show_packed(Console& console, const FolderFacts& in) {
  if (!in.packed) return;
  const auto from = static_cast<double>(in.packed->original_bytes);
  const auto to = static_cast<double>(in.packed->packed_bytes);
  console.result(fmt::format("  packed     {} instead of {}, {:.1f} % saved; sizes below are unpacked",
                             human_bytes(in.packed->packed_bytes),
                             human_bytes(in.packed->original_bytes),
                             from > 0 ? 100 * (1 - to / from) : 0));
}

void show_tensors(Console& console, const FolderFacts& in, bool names) {
  std::map<std::string, std::pair<std::size_t, std::size_t>> by_type;
  for (const TensorFacts& t : in.tensors) {
    auto& [count, bytes] = by_type[t.type];
    ++count;
    bytes += t.bytes;
  }
  std::string types;
  for (const auto& [type, sum] : by_type) {
    types += fmt::format(", {} x {} ({})", sum.first, type, human_bytes(sum.second));
  }
  console.result(fmt::format("  tensors    {} in {}{}", in.tensors.size(),
                             counted(in.files, "file"), types));
  if (in.quantized.empty()) {
    console.result(fmt::format("  parameters {:.2f} M, {}",
                               static_cast<double>(in.parameters) / 1e6,
                               human_bytes(in.bytes)));
    console.result(fmt::format("  linears    {} could be quantized", in.linears.size()));
  } else {
    console.result(fmt::format("  quantized  {}, {}", in.quantized, human_bytes(in.bytes)));
  }
  if (!names) return;
  for (const TensorFacts& t : in.tensors) {
    console.result(fmt::format("    {:<56} {:<5} {}", t.name, t.type, t.shape.text()));
  }
}

void show_sizes(Console& console, const FolderFacts& in) {
  if (in.sizes.empty()) return;
  console.result(fmt::format("  {:<24} {:>8} {:>12} {:>10}  {}", "scheme", "linears", "size",
                             "bits/param", "smallest format"));
  for (const SchemeSize& size : in.sizes) {
    const std::string name =
        size.group_size > 0 ? fmt::format("{} g{}", size.scheme, size.group_size) : size.scheme;
    console.result(fmt::format("    {:<22} {:>8} {:>12} {:>10.2f}  {}", name, size.linears,
                               human_bytes(size.bytes), size.bits, size.format));
  }
}

void show_findings(Console& console, const FolderFacts& in) {
  if (!in.scanned) return;
  if (in.problems.empty()) console.result("  scan       every value is finite, no row or column is all zero");
  for (const ValueProblem& f : in.problems) {
    console.result(fmt::format("  scan       {}: {}", f.tensor, f.what));
  }
}

int run(Session& session, const Options& options) {
  const FolderFacts in = inspect_folder(session.ctx, options.model, options.scan);
  session.console.end_progress();
  if (session.json) {
    session.console.json(to_json(in));
    return 0;
  }
  show_architecture(session.console, in);
  show_packed(session.console, in);
  show_tensors(session.console, in, options.names);
  show_sizes(session.console, in);
  show_findings(session.console, in);
  return 0;
}

Run declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_option(app, "MODEL", options->model, "model folder, or a safetensors, npy or GGUF file", {.required = true});
  add_flag(app, "--scan", options->scan,
           "read every value: find NaN, infinity and channels that are all zero");
  add_flag(app, "--names", options->names, "list every tensor with its type and shape");
  return [options](Session& session) { return run(session, *options); };
}

}  // namespace

extern const Verb verb_inspect;
const Verb verb_inspect = {
    .name = "inspect",
    .summary = "show what a model is, what would be quantized, and the size per scheme",
    .description =
        "Reads the headers only, so it is instant for any size: architecture, tensors, types, tied "
        "head, the linears that would be quantized, and what each scheme would make of the size.",
    .examples = "pare inspect llama\npare inspect llama --scan\npare inspect llama --json",
    .json = JsonOutput::object,
    .declare = declare,
};

}  // namespace pare::app
