#include "check/finding.h"

#include <algorithm>

namespace pare {

std::string_view name_of(Verdict verdict) noexcept {
  if (verdict == Verdict::ok) return "ok";
  return verdict == Verdict::warn ? "warn" : "fail";
}

}  // namespace pare

namespace pare::check {

void Findings::fail(std::string where, std::string found, std::string fix) {
  add({Verdict::fail, std::move(where), std::move(found), std::move(fix)});
}

void Findings::warn(std::string where, std::string found, std::string fix) {
  add({Verdict::warn, std::move(where), std::move(found), std::move(fix)});
}

void Findings::add(Finding finding) {
  verdict_ = std::max(verdict_, finding.verdict);
  ++count_;
  if (kept_.size() < kMostKept) kept_.push_back(std::move(finding));
}

}  // namespace pare::check
