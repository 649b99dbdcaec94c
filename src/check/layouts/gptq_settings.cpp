#include "check/layouts/gptq_settings.h"

#include "check/json_view.h"
#include "check/layouts/name_patterns.h"

#include <algorithm>

namespace pare::check {
namespace {

/// "+:regex" and "regex" set, "-:regex" skips.
bool sets(std::string_view rule, const std::string& linear) {
  if (rule.starts_with("-:")) return false;
  if (rule.starts_with("+:")) rule.remove_prefix(2);
  return may_match(rule, linear);
}

const io::Json* value_in(const io::Json& settings, std::string_view key, std::string_view other) {
  return other.empty() ? member(settings, key) : member(settings, key, other);
}

}  // namespace

std::vector<const io::Json*> stated_for(const Folder& folder, const std::string& linear,
                                        std::string_view key, std::string_view other) {
  std::vector<const io::Json*> stated;
  const io::Json* dynamic = member(folder.quantization(), "dynamic");
  if (dynamic != nullptr && dynamic->is_object()) {
    for (const auto& [rule, settings] : dynamic->items()) {
      const io::Json* value = value_in(settings, key, other);
      if (value != nullptr && sets(rule, linear)) stated.push_back(value);
    }
  }
  const io::Json* whole = value_in(folder.quantization(), key, other);
  if (whole != nullptr) stated.push_back(whole);
  return stated;
}

bool may_be_stated(const std::vector<const io::Json*>& stated, const io::Json& value) {
  return stated.empty() || std::any_of(stated.begin(), stated.end(),
                                       [&](const io::Json* one) { return *one == value; });
}

}  // namespace pare::check
