// Rules about every quantized linear, whatever the layout.
#include "check/rule_help.h"

#include <fmt/format.h>

#include <cmath>

namespace pare::check {
namespace {

void check_parts(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  if (folder.linears().empty()) {
    findings.fail(
        "", fmt::format("the layout is {}, but there is no quantized linear", folder.layout()),
        "put the quantized weights into the folder: these may be those of the float model");
    return;
  }
  for (const Linear& linear : folder.linears()) {
    for (const std::string& problem : linear.problems)
      findings.fail(linear.name, problem,
                    "the file is damaged or was put together by hand: write it again");
  }
  findings.note(fmt::format("{} quantized linears", folder.linears().size()));
}

/// Every tensor of scales of a linear.
std::vector<std::string> scale_tensors(const Folder& folder, const Linear& linear) {
  std::vector<std::string> names;
  for (const char* suffix : {".scales", ".weight_scale", ".weight_scale_second", ".input_scale"}) {
    if (folder.weights().find(linear.name + suffix) != nullptr)
      names.push_back(linear.name + suffix);
  }
  const StoredTensor* deq = folder.weights().find(linear.name + ".deq_scale");
  if (deq != nullptr && deq->info.dtype == DType::f32) names.push_back(deq->info.name);
  return names;
}

struct OddScales {
  std::size_t not_finite = 0;
  std::size_t negative = 0;
  std::size_t zero = 0;
  std::size_t subnormal = 0;  // as F16: kernels compute in it
};

OddScales odd_scales(const std::vector<float>& values, bool as_f16) {
  constexpr float kSmallestNormalF16 = 0x1p-14F;
  OddScales odd;
  for (const float value : values) {
    odd.not_finite += std::isfinite(value) ? 0U : 1U;
    odd.negative += value < 0 ? 1U : 0U;
    odd.zero += value == 0 ? 1U : 0U;
    const float size = std::fabs(value);
    odd.subnormal += as_f16 && size > 0 && size < kSmallestNormalF16 ? 1U : 0U;
  }
  return odd;
}

void check_scales_finite(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    for (const std::string& name : scale_tensors(subject.folder, linear)) {
      const std::size_t count = odd_scales(values_of(subject.folder, name), false).not_finite;
      if (count > 0)
        findings.fail(name, fmt::format("{} scales are NaN or infinite", count),
                      "quantize again: every output of these rows becomes NaN");
    }
  }
}

void check_scales_sane(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    for (const std::string& name : scale_tensors(subject.folder, linear)) {
      const bool f16 = subject.folder.weights().find(name)->info.dtype == DType::f16;
      const OddScales odd = odd_scales(values_of(subject.folder, name), f16);
      if (odd.zero + odd.negative > 0)
        findings.warn(name, fmt::format("{} scales are 0, {} are negative", odd.zero, odd.negative),
                      "quantize these linears again, unless their weights are all 0");
      if (odd.subnormal > 0)
        findings.warn(
            name, fmt::format("{} scales are subnormal in F16", odd.subnormal),
            "keep such linears in float, or in a layout with BF16 or F32 scales: F16 holds "
            "few of their digits");
    }
  }
}

constexpr std::array kRules = {
    Rule{"linear-parts",
         "every quantized linear has its parts, with types and shapes that fit",
         kQuantizedLayouts,
         {},
         "docs/formats: the tensors of each layout",
         check_parts},
    Rule{"scales-finite",
         "no scale is NaN or infinite",
         kQuantizedLayouts,
         {},
         "one such scale makes every logit NaN",
         check_scales_finite,
         kLinears},
    Rule{"scales-normal",
         "scales are above 0 and not subnormal in F16",
         kQuantizedLayouts,
         {},
         "msModelSlim and AutoAWQ write zeros for rows without weights; F16 loses digits below "
         "2^-14",
         check_scales_sane,
         kLinears},
};

}  // namespace

extern const RuleFamily linears_rules;
constinit const RuleFamily linears_rules = {"linears", kRules};

}  // namespace pare::check
