#include "pipeline/pack/nibbles.h"

#include "layouts/layout.h"
#include "model/graph.h"
#include "pare/error.h"

#include <map>

namespace pare::pipeline {
namespace {

/// 4-bit linears, and how many codes they have.
std::map<std::string, std::size_t> four_bit_linears(const layout::QuantizedCheckpoint& checkpoint) {
  std::map<std::string, std::size_t> linears;
  for (const std::string& module : checkpoint.linears()) {
    const quant::LinearHeader header = checkpoint.header(module);
    if (header.scheme.weight_bits != 4) continue;
    linears.emplace(module, static_cast<std::size_t>(header.out * header.in));
  }
  return linears;
}

std::set<std::string> find_nibbles(const layout::QuantizedCheckpoint& checkpoint) {
  const std::map<std::string, std::size_t> linears = four_bit_linears(checkpoint);
  std::set<std::string> names;
  for (const containers::TensorInfo& info : checkpoint.stored()->tensors()) {
    const auto linear = linears.find(model::module_of(info.name));
    const bool halved = linear != linears.end() && 2 * info.nbytes() == linear->second;
    if (halved && !is_weight_float(info.dtype)) names.insert(info.name);
  }
  return names;
}

}  // namespace

std::set<std::string> nibble_tensors(const std::filesystem::path& folder) {
  const layout::Layout* layout = layout::layout_of(folder);
  if (layout == nullptr) return {};
  try {
    return find_nibbles(*layout->open(folder));
  } catch (const Error& failure) {
    if (failure.kind() == ErrorKind::bad_format || failure.kind() == ErrorKind::unsupported)
      return {};
    throw;
  }
}

}  // namespace pare::pipeline
