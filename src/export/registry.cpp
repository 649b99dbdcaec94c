// The table of exporters, made from exporters.def.
#include "core/error.h"
#include "export/exporter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace pare::export_ {

#define PARE_EXPORTER(name) extern const Exporter name##_exporter;
#include "export/exporters.def"
#undef PARE_EXPORTER

namespace {

constexpr std::array kExporters = {
#define PARE_EXPORTER(name) &name##_exporter,
#include "export/exporters.def"
#undef PARE_EXPORTER
};

}  // namespace

std::span<const Exporter* const> exporters() noexcept { return kExporters; }

const Exporter& find_exporter(std::string_view id) {
  std::vector<std::string> known;
  for (const Exporter* exporter : kExporters) {
    if (exporter->id == id) return *exporter;
    known.emplace_back(exporter->id);
  }
  Error error(ErrorCode::unknown_entry, fmt::format("format \"{}\"", id));
  const std::string near = closest_match(id, known);
  if (!near.empty()) throw std::move(error).hint(fmt::format("did you mean \"{}\"?", near));
  throw std::move(error).hint(fmt::format("the formats are {}", fmt::join(known, ", ")));
}

const Exporter* exporter_of(const std::filesystem::path& folder) noexcept {
  for (const Exporter* exporter : kExporters) {
    if (exporter->probe(folder)) return exporter;
  }
  return nullptr;
}

std::size_t output_bytes(const Exporter& exporter, const ExportPlan& plan, const ParamMap& params) {
  std::size_t sum = 0;
  for (const formats::TensorInfo& info : exporter.declare(plan, params))
    sum += info.nbytes();
  return sum;
}

}  // namespace pare::export_
