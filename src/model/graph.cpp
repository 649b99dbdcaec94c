#include "model/graph.h"

#include <algorithm>

#include "pare/error.h"

namespace pare::model {

std::span<const Module> ModelGraph::block(std::int64_t index) const noexcept {
  const auto inside = [&](const Module& m) { return m.block == index; };
  const auto first = std::find_if(modules.begin(), modules.end(), inside);
  const auto last = std::find_if_not(first, modules.end(), inside);
  return {first, last};
}

const Module& ModelGraph::module(Role role) const {
  const auto found = std::find_if(modules.begin(), modules.end(), [&](const Module& m) {
    return m.block == kNoBlock && m.role == role;
  });
  if (found == modules.end()) throw Error(ErrorCode::internal, "the graph lacks a module");
  return *found;
}

const Module* find_role(std::span<const Module> block, Role role, std::int64_t expert) noexcept {
  for (const Module& module : block) {
    if (module.role == role && module.expert == expert) return &module;
  }
  return nullptr;
}

ModuleIndex index_modules(const ModelGraph& graph) {
  ModuleIndex index;
  for (const Module& module : graph.modules) index.emplace(module.name, &module);
  return index;
}

std::string module_of(std::string_view tensor) {
  return std::string(tensor.substr(0, tensor.rfind('.')));
}

}  // namespace pare::model
