// What an layout has to say before it writes.
#include "layouts/layout.h"

#include <algorithm>

namespace pare::layout {

std::vector<std::string> notes_of(const Layout& layout, const OutputPlan& plan) {
  std::vector<std::string> notes;
  if (layout.notes != nullptr) notes = layout.notes(plan);
  const bool activations = std::any_of(plan.items.begin(), plan.items.end(), [](const Item& item) {
    return item.linear.has_value() &&
           item.linear->scheme.activations != quant::Activations::none;
  });
  if (layout.weights_only && activations) notes.emplace_back(without_activations(layout));
  return notes;
}

std::string without_activations(const Layout& layout) {
  return std::string(layout.id) +
         " files hold the 8-bit weights and nothing about the activations: engines round these as "
         "they see fit, and scales from calibration are left out";
}

}  // namespace pare::layout
