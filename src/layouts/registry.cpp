// The table of layouts, made from layouts.def.
#include "layouts/layout.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace pare::layout {

#define PARE_LAYOUT(name) extern const Layout layout_##name;
#include "layouts/layouts.def"
#undef PARE_LAYOUT

namespace {

constexpr std::array kLayouts = {
#define PARE_LAYOUT(name) &layout_##name,
#include "layouts/layouts.def"
#undef PARE_LAYOUT
};

}  // namespace

std::span<const Layout* const> layouts() noexcept { return kLayouts; }

const Layout& find_layout(std::string_view id) {
  std::vector<std::string> known;
  for (const Layout* layout : kLayouts) {
    if (layout->id == id) return *layout;
    known.emplace_back(layout->id);
  }
  Error error(ErrorCode::unknown_entry, fmt::format("format \"{}\"", id));
  const std::string near = closest_match(id, known);
  if (!near.empty()) throw std::move(error).hint(fmt::format("did you mean \"{}\"?", near));
  throw std::move(error).hint(fmt::format("the formats are {}", fmt::join(known, ", ")));
}

const Layout* layout_of(const std::filesystem::path& folder) noexcept {
  for (const Layout* layout : kLayouts) {
    if (layout->probe(folder)) return layout;
  }
  return nullptr;
}

quant::LinearHeader QuantizedCheckpoint::header(std::string_view module) const {
  const auto stored = linear(module);
  if (stored.has_value()) return stored->linear.header();
  throw Error(ErrorCode::tensor_missing, std::string(module) + " is not quantized")
      .hint("ask only for modules that `linears` names");
}

std::size_t output_bytes(const OutputPlan& plan, const ParamMap& params) {
  std::size_t sum = 0;
  for (const containers::TensorInfo& info : plan.layout->declare(plan, params))
    sum += info.nbytes();
  return sum;
}

std::vector<std::string> notes_of(const OutputPlan& plan) {
  std::vector<std::string> notes;
  if (plan.layout->notes != nullptr) notes = plan.layout->notes(plan);
  if (plan.activations_left_out) {
    notes.push_back(fmt::format(
        "{} files hold the 8-bit weights and nothing about the activations: engines round these as "
        "they see fit, and scales from calibration are left out",
        plan.layout->id));
  }
  return notes;
}

}  // namespace pare::layout
