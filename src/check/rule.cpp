#include "check/rule.h"

#include "check/layouts.h"

namespace pare::check {
namespace {

std::string why_unreadable(const Folder& folder, const std::string& name) {
  const JsonFile& file = folder.json(name);
  if (!file.exists) return "there is no " + name;
  return file.problem.empty() ? "" : name + " cannot be read";
}

std::string why_no_settings(const Folder& folder) {
  return folder.quantization().empty() ? why_unreadable(folder, "config.json") : "";
}

std::string why_no_description(const Folder& folder) {
  if (folder.descriptions().empty()) return "there is no quant_model_description*.json";
  return why_unreadable(folder, folder.descriptions().front());
}

/// A float folder has no quantized linears, so that whatever rules say of them is kept.
std::string why_no_linears(const Folder& folder) {
  const bool quantized = folder.layout() != kFloat && folder.linears().empty();
  return quantized ? "no quantized linear can be read" : "";
}

}  // namespace

std::string missing_needs(const Rule& rule, const Folder& folder) {
  const auto needs = [&](Need need) { return (rule.needs & need) != 0; };
  std::string why;
  if (needs(kTensors) && folder.weights().tensors.empty()) why = "no tensor can be read";
  if (why.empty() && needs(kLinears)) why = why_no_linears(folder);
  if (why.empty() && needs(kDescription)) why = why_no_description(folder);
  if (why.empty() && needs(kSettings)) why = why_no_settings(folder);
  if (why.empty() && needs(kConfig)) why = why_unreadable(folder, "config.json");
  if (why.empty() && needs(kGraph)) why = folder.graph_problem();
  return why;
}

}  // namespace pare::check
