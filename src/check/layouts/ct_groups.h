// The settings of compressed-tensors configurations, read as far as they can be.
#pragma once

#include "check/folder.h"

#include <optional>
#include <string>
#include <vector>

namespace pare::check {

/// "weights" or "input_activations" of a config group.
struct CtArgs {
  std::int64_t bits = 0;
  std::string type;
  std::string strategy;
  bool symmetric = true;
  bool dynamic = false;
  std::optional<std::int64_t> group_size;
  const io::Json* json = nullptr;
};

struct CtGroup {
  std::string name;
  std::vector<std::string> targets;
  std::optional<CtArgs> weights;
  std::optional<CtArgs> inputs;
};

std::vector<CtGroup> ct_groups(const Folder& folder);

/// The group whose targets name the linear, in full, as a class or by a regular expression (which
/// is not evaluated: of several, the first is taken). nullptr when none does.
const CtGroup* group_of(const std::vector<CtGroup>& groups, const std::string& linear);

/// Whether an entry of "ignore" speaks of the module. Regular expressions count when their words
/// without marks are part of the name.
bool is_ignored(const std::vector<std::string>& ignore, const std::string& module);

}  // namespace pare::check
