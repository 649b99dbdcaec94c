// Numbers of Ascend's layouts that load silently when they are wrong. Source:
// docs/formats/ascend.md
#include "check/rule_help.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pare::check {
namespace {

constexpr std::array kBoth = {kAscend, kAscendV1};

void check_deq_type(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::string dtype = config_dtype(folder);
  if (dtype.empty()) return findings.not_looked_at("config.json states no type");
  const DType expected = dtype == "bfloat16" ? DType::f32 : DType::i64;
  for (const Linear& linear : folder.linears()) {
    const StoredTensor* deq = folder.weights().find(linear.name + ".deq_scale");
    if (deq == nullptr || deq->info.dtype == expected) continue;
    findings.fail(
        linear.name,
        fmt::format("deq_scale is {} in a model of {}", deq->info.type_name(), dtype),
        expected == DType::f32
            ? "store deq_scale as F32, or state the type that it was made for in config.json"
            : "store deq_scale as I64 with the bits of the F32 value, or state bfloat16 in "
              "config.json");
  }
}

void check_deq_bits(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    const StoredTensor* deq = subject.folder.weights().find(linear.name + ".deq_scale");
    if (deq == nullptr || deq->info.dtype != DType::i64) continue;
    const TensorView view = subject.folder.view(*deq);
    std::size_t odd = 0;
    for (std::size_t at = 0; at + sizeof(std::int64_t) <= view.data.size();
         at += sizeof(std::int64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, view.data.data() + at, sizeof word);
      float value = 0;
      const auto low = static_cast<std::uint32_t>(word);
      std::memcpy(&value, &low, sizeof value);
      odd += word >> 32 == 0 && std::isfinite(value) && value > 0 ? 0U : 1U;
    }
    if (odd > 0)
      findings.fail(linear.name,
                    fmt::format("{} numbers of deq_scale are not the bits of a scale", odd),
                    "store the bits of the F32 value in the low half, zeros above");
  }
}

void check_offset(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    for (const float offset : values_of(subject.folder, linear.name + ".input_offset")) {
      if (std::nearbyint(offset) == offset && offset >= -128 && offset <= 127) continue;
      findings.fail(linear.name, fmt::format("input_offset is {}", offset),
                    "calibrate again: input_offset must be a whole number in -128..127, the loader "
                    "casts it to int8");
    }
  }
}

void check_weight_offsets(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    const std::vector<float> offsets = values_of(subject.folder, linear.name + ".weight_offset");
    const auto odd = std::count_if(offsets.begin(), offsets.end(),
                                   [](float v) { return std::nearbyint(v) != v; });
    if (odd == 0) continue;
    findings.fail(linear.name, fmt::format("{} values of weight_offset are no whole numbers", odd),
                  "quantize again with whole zero points: integer kernels cut the rest off");
  }
}

constexpr std::array kRules = {
    Rule{"deq-scale-type",
         "deq_scale is F32 in bfloat16 models and I64 in others",
         kBoth,
         {},
         "vllm-ascend chooses by the type that the model runs in, and copies with conversion",
         check_deq_type,
         kConfig | kLinears},
    Rule{"deq-scale-bits",
         "I64 deq_scale holds the bits of positive F32 numbers",
         kBoth,
         {},
         "msmodelslim 3de0a3c, deqscale2int64",
         check_deq_bits,
         kLinears},
    Rule{"input-offset",
         "input_offset is a whole number in -128..127",
         kBoth,
         {},
         "vllm-ascend, methods/w8a8_static.py: the parameter is int8",
         check_offset,
         kLinears},
    Rule{"weight-offset",
         "weight_offset holds whole numbers",
         kBoth,
         {},
         "zero points are integers on the device",
         check_weight_offsets,
         kLinears},
};

}  // namespace

extern const RuleFamily ascend_values_rules;
constinit const RuleFamily ascend_values_rules = {"ascend_values", kRules};

}  // namespace pare::check
