// What an exporter has to say before it writes.
#include "export/exporter.h"

#include <algorithm>

namespace pare::export_ {

std::vector<std::string> notes_of(const Exporter& exporter, const ExportPlan& plan) {
  std::vector<std::string> notes;
  if (exporter.notes != nullptr) notes = exporter.notes(plan);
  const bool activations = std::any_of(plan.items.begin(), plan.items.end(), [](const Item& item) {
    return item.linear.has_value() &&
           item.linear->scheme.activations != quant::Activations::none;
  });
  if (exporter.weights_only && activations) notes.emplace_back(without_activations(exporter));
  return notes;
}

std::string without_activations(const Exporter& exporter) {
  return std::string(exporter.id) +
         " files hold the 8-bit weights and nothing about the activations: engines round these as "
         "they see fit, and scales from calibration are left out";
}

}  // namespace pare::export_
