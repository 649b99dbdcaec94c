// What a rule found wrong, and what to do about it.
#pragma once

#include "pare/check.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pare::check {

/// What one rule has to say. A folder with a thousand linears may break it a thousand times: the
/// first ones are kept, all are counted.
class Findings {
 public:
  static constexpr std::size_t kMostKept = 200;

  void fail(std::string where, std::string found, std::string fix);
  void warn(std::string where, std::string found, std::string fix);
  /// Something of a kind that Pare has no rules for: "GPTQ with checkpoint_format \"marlin\"".
  void no_rules(std::string where, const std::string& what);
  /// What the rule needs is not there. It stands as long as nothing is found.
  void not_looked_at(std::string why);
  void add(Finding finding);
  /// Something worth knowing that is right as it is.
  void note(std::string text) { note_ = std::move(text); }

  Verdict verdict() const noexcept { return verdict_; }
  const std::vector<Finding>& kept() const noexcept { return kept_; }
  std::size_t count() const noexcept { return count_; }
  const std::string& text() const noexcept { return note_; }

 private:
  Verdict verdict_ = Verdict::ok;
  std::vector<Finding> kept_;
  std::size_t count_ = 0;
  std::string note_;
};

}  // namespace pare::check
