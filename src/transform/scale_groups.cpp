#include "transform/scale_groups.h"

namespace pare::transform {

std::vector<ScaleGroup> norm_groups(const model::ModelGraph& graph, std::int64_t block) {
  std::vector<ScaleGroup> groups;
  for (const model::Module& norm : graph.block(block)) {
    if (norm.kind != model::ModuleKind::norm || !norm.site.has_value()) continue;
    ScaleGroup group{.producer = norm, .consumers = {}, .site = *norm.site};
    for (const model::Module& linear : graph.block(block)) {
      const bool reads = linear.kind == model::ModuleKind::linear && linear.site == norm.site;
      if (reads) group.consumers.push_back(linear);
    }
    if (!group.consumers.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace pare::transform
