// What the findings of a rule add up to.
#include "check/finding.h"

#include <gtest/gtest.h>

namespace pare::check {
namespace {

TEST(Findings, TheWorstCounts) {
  Findings findings;
  EXPECT_EQ(findings.verdict(), Verdict::ok);
  findings.warn("a", "found", "fix");
  EXPECT_EQ(findings.verdict(), Verdict::warn);
  findings.no_rules("b", "format x");
  EXPECT_EQ(findings.verdict(), Verdict::no_rules);
  EXPECT_EQ(findings.kept().back().found, "no rules for format x");
  findings.fail("c", "found", "fix");
  findings.no_rules("d", "format y");
  EXPECT_EQ(findings.verdict(), Verdict::fail);
  EXPECT_EQ(findings.count(), 4U);
}

TEST(Findings, WhatWasNotLookedAtIsNotKept) {
  Findings findings;
  findings.not_looked_at("there is no config.json");
  EXPECT_EQ(findings.verdict(), Verdict::not_looked_at);
  EXPECT_EQ(findings.text(), "there is no config.json");
  EXPECT_EQ(findings.count(), 0U);
}

TEST(Findings, WhatIsFoundCountsMoreThanWhatWasNotLookedAt) {
  Findings before;
  before.not_looked_at("one of two files");
  before.warn("a", "found", "fix");
  EXPECT_EQ(before.verdict(), Verdict::warn);
  Findings after;
  after.warn("a", "found", "fix");
  after.not_looked_at("one of two files");
  EXPECT_EQ(after.verdict(), Verdict::warn);
}

TEST(Verdicts, HaveNames) {
  EXPECT_EQ(name_of(Verdict::not_looked_at), "not-looked-at");
  EXPECT_EQ(name_of(Verdict::ok), "ok");
  EXPECT_EQ(name_of(Verdict::warn), "warn");
  EXPECT_EQ(name_of(Verdict::no_rules), "no-rules");
  EXPECT_EQ(name_of(Verdict::fail), "fail");
}

}  // namespace
}  // namespace pare::check
