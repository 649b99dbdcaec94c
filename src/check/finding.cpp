#include "check/finding.h"

#include <algorithm>

namespace pare {

std::string_view name_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::not_looked_at:
      return "not-looked-at";
    case Verdict::ok:
      return "ok";
    case Verdict::warn:
      return "warn";
    case Verdict::no_rules:
      return "no-rules";
    case Verdict::fail:
      break;
  }
  return "fail";
}

}  // namespace pare

namespace pare::check {

void Findings::fail(std::string where, std::string found, std::string fix) {
  add({Verdict::fail, std::move(where), std::move(found), std::move(fix)});
}

void Findings::warn(std::string where, std::string found, std::string fix) {
  add({Verdict::warn, std::move(where), std::move(found), std::move(fix)});
}

void Findings::no_rules(std::string where, const std::string& what) {
  add({Verdict::no_rules, std::move(where), "no rules for " + what,
       "check it with the program that wrote it"});
}

void Findings::not_looked_at(std::string why) {
  if (count_ == 0) verdict_ = Verdict::not_looked_at;
  note_ = std::move(why);
}

void Findings::add(Finding finding) {
  verdict_ = std::max(verdict_, finding.verdict);
  ++count_;
  if (kept_.size() < kMostKept) kept_.push_back(std::move(finding));
}

}  // namespace pare::check
