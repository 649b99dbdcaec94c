// The settings of compressed-tensors configurations, read as far as they can be.
#pragma once

#include "check/folder.h"

#include <optional>
#include <set>
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
  /// Of its own, else that of the whole; "" when neither says one, or the whole is mixed.
  std::string format;
};

std::vector<CtGroup> ct_groups(const Folder& folder);

/// The group whose targets name the linear, in full, as a class or by a regular expression (which
/// is not evaluated: of several, the first is taken). nullptr when none does.
const CtGroup* group_of(const std::vector<CtGroup>& groups, const std::string& linear);

/// Whether Pare has rules for weights of this format, or cannot tell it.
bool has_rules_for(const std::string& ct_format) noexcept;
/// Formats of groups, or of the whole where there are none, that Pare has no rules for.
std::set<std::string> ct_formats_without_rules(const Folder& folder);
/// Whether the words of a linear are of a format that Pare has rules for; codes of other formats
/// are none of its business, unless the configuration says that they are packed words.
bool is_packed_by_rules(const std::vector<CtGroup>& groups, const Folder& folder,
                        const std::string& linear);

/// Whether an entry of "ignore" speaks of the module. Regular expressions count when their words
/// without marks are part of the name.
bool is_ignored(const std::vector<std::string>& ignore, const std::string& module);

}  // namespace pare::check
