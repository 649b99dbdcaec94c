// Rules about what the folder is at all.
#include "layouts/layout.h"

#include "check/rule_help.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pare::check {
namespace {

constexpr std::array kWithoutRules = {kOther, kUnknown};
constexpr std::array kNpyOnly = {kNpy};
constexpr std::array kPackedOnly = {kPacked};
constexpr std::array kAll = {kEveryTarget};

void check_known(const Subject& subject, Findings& findings) {
  const std::string& recognised = subject.folder.recognised();
  if (!recognised.empty()) return findings.no_rules("", recognised);
  findings.fail("", "no weights: no *.safetensors, no *.gguf, no quant_weight.npy",
                "fetch the weight files");
}

void check_packed(const Subject& /*subject*/, Findings& findings) {
  findings.warn("", "the weights are compressed, which only Pare reads",
                "pare decompress gives the folder back that engines load");
}

void check_npy(const Subject& subject, Findings& findings) {
  const layout::Layout* layout = layout::layout_of(subject.folder.path());
  if (layout == nullptr) {
    findings.fail("", "the dictionaries of the layout are not complete",
                  "fetch the missing *.npy files");
    return;
  }
  const auto checkpoint = layout->open(subject.folder.path());
  for (const std::string& name : checkpoint->linears()) {
    try {
      (void)checkpoint->header(name);
    } catch (const Error& error) {
      findings.fail(name, error.detail(), "the files are damaged: fetch them again");
    }
  }
}

void check_target_reads(const Subject& subject, Findings& findings) {
  const Target& target = *subject.target;
  const std::string_view layout = subject.folder.layout();
  if (loads(target, layout)) return;
  if (!subject.folder.recognised().empty())
    return findings.not_looked_at("no rules for " + subject.folder.recognised());
  const bool converts = layout != kFloat && layout != kUnknown && layout != kPacked;
  const char* of = layout == kGguf ? " of Q4_0, Q4_1 and Q8_0 blocks" : "";
  findings.fail("", fmt::format("{} does not read the layout {}", target.id, layout),
                fmt::format("it reads {}; {}", fmt::join(target.layouts, ", "),
                            converts ? fmt::format("pare convert DIR --to FORMAT writes another "
                                                   "layout{}",
                                                   of)
                                     : "pare quantize writes layouts for it"));
}

constexpr std::array kRules = {
    Rule{"layout-known",
         "the folder holds a layout that Pare knows",
         kWithoutRules,
         {},
         "docs/checking.md",
         check_known},
    Rule{"packed",
         "the weights are not compressed",
         kPackedOnly,
         {},
         "docs/formats/packed.md",
         check_packed},
    Rule{"npy-readable",
         "every dictionary opens and every linear is complete",
         kNpyOnly,
         {},
         "docs/formats/ascend.md",
         check_npy},
    Rule{"target-reads-layout",
         "the engine reads the layout",
         {},
         kAll,
         "the layouts of each engine: pare list targets",
         check_target_reads},
};

}  // namespace

extern const RuleFamily layout_rules;
constinit const RuleFamily layout_rules = {"layout", kRules};

}  // namespace pare::check
