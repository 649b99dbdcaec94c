#include "check/linear.h"

#include "check/folder.h"
#include "check/layouts.h"

#include <algorithm>

namespace pare::check {
namespace {

std::vector<Linear> of_layout(const Folder& folder) {
  const std::string_view layout = folder.layout();
  if (layout == kAwq) return find_awq_linears(folder);
  if (layout == kGptq) return find_gptq_linears(folder);
  if (layout == kCt) return find_ct_linears(folder);
  if (layout == kAscend || layout == kAscendV1) return find_ascend_linears(folder);
  return {};
}

}  // namespace

std::vector<Linear> find_linears(const Folder& folder) {
  std::vector<Linear> linears = of_layout(folder);
  std::sort(linears.begin(), linears.end(),
            [](const Linear& a, const Linear& b) { return a.name < b.name; });
  return linears;
}

}  // namespace pare::check
