// Rules of AutoAWQ's gemm layout and of the engines that read it. Source: docs/formats/autoawq.md
#include "check/rule_help.h"
#include "model/router_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pare::check {
namespace {

constexpr std::array kAwqOnly = {kAwq};
constexpr std::array<std::string_view, 1> kVllm = {"vllm"};
constexpr std::array<std::string_view, 1> kAutoawq = {"autoawq"};
constexpr std::array<std::string_view, 2> kByFullName = {"vllm", "transformers"};
constexpr std::array<std::string_view, 2> kCudaGemm = {"vllm", "autoawq"};

void check_bits(const Subject& subject, Findings& findings) {
  const io::Json* bits = member(subject.folder.quantization(), "bits", "w_bit");
  if (integer_of(bits) == 4) return;
  findings.fail(config_place(subject.folder), fmt::format("bits is {}", shown(bits)),
                "set bits to 4: the layout is defined for nothing else; 8 bits go to gptq or "
                "compressed-tensors");
}

void check_version(const Subject& subject, Findings& findings) {
  const io::Json* version = member(subject.folder.quantization(), "version", "format");
  const auto text = text_of(version);
  if (text == "gemm") return;
  // The last two are kernels that transformers runs gemm's words with.
  constexpr std::array<std::string_view, 3> kSameWords = {"gemm", "exllama", "ipex"};
  const bool same_words = text && std::find(kSameWords.begin(), kSameWords.end(),
                                            lower_case(*text)) != kSameWords.end();
  const std::string found = fmt::format("version is {}", shown(version));
  if (version == nullptr || same_words) {
    findings.warn(config_place(subject.folder), found,
                  "write \"version\": \"gemm\", in lower case");
    return;
  }
  findings.fail(config_place(subject.folder), found,
                "write \"version\": \"gemm\", which is how the words lie");
}

void check_zero_point(const Subject& subject, Findings& findings) {
  const io::Json* value = member(subject.folder.quantization(), "zero_point");
  if (flag_of(value) == true) return;
  findings.fail(
      config_place(subject.folder), fmt::format("zero_point is {}", shown(value)),
      "set zero_point to true, for symmetric weights as well: all loaders read qzeros, and "
      "false selects other kernels");
}

void check_scale_type(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    const StoredTensor* scales = subject.folder.weights().find(linear.scales);
    if (scales == nullptr || scales->info.dtype == DType::f16) continue;
    findings.fail(linear.name, fmt::format("scales are {}", scales->info.type_name()),
                  "store the scales as F16: AutoAWQ's kernels read nothing else");
  }
}

void check_dtype(const Subject& subject, Findings& findings) {
  const std::string dtype = config_dtype(subject.folder);
  if (dtype == "float16" || dtype == "auto" || dtype == "half") return;
  findings.warn(
      "config.json", fmt::format("torch_dtype is \"{}\"", dtype),
      "set torch_dtype to \"float16\", or start vLLM with --dtype float16: of its kernels Marlin "
      "alone takes other types");
}

void check_cuda_shapes(const Subject& subject, Findings& findings) {
  for (const Linear& linear : subject.folder.linears()) {
    if (linear.in <= 0 || linear.out <= 0 || linear.groups <= 0) continue;
    const std::int64_t group = linear.in / linear.groups;
    const bool fine = linear.out % 64 == 0 && group % 32 == 0 && linear.out % group == 0;
    if (fine) continue;
    findings.warn(linear.name, fmt::format("{} outputs in groups of {}", linear.out, group),
                  "the CUDA kernel wants outputs in multiples of 64 and of the group, groups in "
                  "multiples of 32: keep it in float, or use groups of 32, 64 or 128");
  }
}

std::vector<std::string> kept_entries(const Folder& folder) {
  return texts_of(member(folder.quantization(), "modules_to_not_convert"));
}

bool is_part_of_any(const std::vector<std::string>& entries, std::string_view name) {
  return std::any_of(entries.begin(), entries.end(), [&](const std::string& entry) {
    return name.find(entry) != std::string_view::npos;
  });
}

void check_kept(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  const std::vector<std::string> entries = kept_entries(folder);
  for (const std::string& name : float_linears_in_blocks(folder)) {
    if (is_part_of_any(entries, name)) continue;
    if (entries.empty() && subject.target->derives_kept_modules) continue;
    if (subject.target->builds_float_routers && model::is_router_name(name)) continue;
    findings.fail(name, "it is float, and modules_to_not_convert does not name it",
                  fmt::format("add \"{}\" to modules_to_not_convert", name));
  }
}

void check_overlap(const Subject& subject, Findings& findings) {
  const std::vector<std::string> entries = kept_entries(subject.folder);
  for (const Linear& linear : subject.folder.linears()) {
    if (!is_part_of_any(entries, linear.name)) continue;
    findings.fail(
        linear.name, "it is quantized, and an entry of modules_to_not_convert is part of its name",
        "name the float modules in modules_to_not_convert in full: engines look for parts "
        "of names");
  }
}

/// AutoAWQ compares with names inside the block, so an entry speaks of all blocks or of none.
void check_kept_everywhere(const Subject& subject, Findings& findings) {
  for (const std::string& name : float_linears_in_blocks(subject.folder)) {
    const std::string_view inside = in_block(name)->name;
    const auto& linears = subject.folder.linears();
    const auto twin = std::find_if(linears.begin(), linears.end(), [&](const Linear& linear) {
      const auto other = in_block(linear.name);
      return other && other->name == inside;
    });
    if (twin == linears.end()) continue;
    findings.fail(name, fmt::format("it is float, {} is quantized", twin->name),
                  "quantize it, or keep it in float in every block: AutoAWQ cannot skip it in one "
                  "block alone");
  }
}

constexpr std::array kRules = {
    Rule{"awq-bits",
         "the configuration says 4 bits",
         kAwqOnly,
         {},
         "AutoAWQ 0.2.9, WQLinear_GEMM",
         check_bits,
         kSettings},
    Rule{"awq-version",
         "the configuration says version gemm",
         kAwqOnly,
         {},
         "AutoAWQ: gemv, gemv_fast and marlin are other layouts of the words",
         check_version,
         kSettings},
    Rule{"awq-zero-point",
         "zero_point is true",
         kAwqOnly,
         {},
         "AutoAWQ packs no zeros without; vLLM and GPTQModel choose other kernels",
         check_zero_point,
         kSettings},
    Rule{"awq-scales-f16", "scales are F16", kAwqOnly, kAutoawq, "AutoAWQ 0.2.9, its CUDA kernels",
         check_scale_type, kLinears},
    Rule{"awq-dtype", "config.json says float16", kAwqOnly, kVllm,
         "vLLM, quantization awq: supported activation dtypes are half alone", check_dtype,
         kConfig},
    Rule{"awq-kernel-shapes", "the CUDA kernel takes every shape", kAwqOnly, kCudaGemm,
         "AutoAWQ and vLLM, gemm_cuda: outputs % 64, group % 32, outputs % group",
         check_cuda_shapes, kLinears},
    Rule{"awq-kept-modules", "modules_to_not_convert names every float linear in the blocks",
         kAwqOnly, kByFullName, "transformers and vLLM replace every linear that is not named",
         check_kept, kSettings | kTensors},
    Rule{"awq-kept-overlap",
         "no entry of modules_to_not_convert is part of a quantized linear's name", kAwqOnly,
         kByFullName, "transformers and vLLM look for parts of names: mlp.gate hits mlp.gate_proj",
         check_overlap, kSettings | kLinears},
    Rule{"awq-kept-in-all-blocks", "a linear is float in every block or in none", kAwqOnly,
         kAutoawq, "AutoAWQ 0.2.9, exclude_layers_to_not_quantize: names inside the block",
         check_kept_everywhere, kLinears},
};

}  // namespace

extern const RuleFamily awq_rules;
constinit const RuleFamily awq_rules = {"awq", kRules};

}  // namespace pare::check
