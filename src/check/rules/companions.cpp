// Rules about the files beside the weights.
#include "check/rule_help.h"
#include "io/lfs_pointer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace pare::check {
namespace {

bool has_tokenizer(const Folder& folder) {
  if (folder.has("tokenizer.json") || folder.has("tokenizer.model") || folder.has("spiece.model") ||
      folder.has("tekken.json"))
    return true;
  if (folder.has("vocab.json") && folder.has("merges.txt")) return true;
  return std::any_of(folder.files().begin(), folder.files().end(),
                     [](const std::string& name) { return name.ends_with(".tiktoken"); });
}

/// What a clone without Git LFS leaves in place of the files that are no JSON; the others cannot be
/// read, which a rule of its own says.
void check_pointers(const Folder& folder, Findings& findings) {
  for (const std::string& name : folder.files()) {
    const bool of_tokenizer = name.ends_with(".model") || name.ends_with(".tiktoken") ||
                              name == "merges.txt" || name == "vocab.txt";
    if (!of_tokenizer || !io::is_lfs_pointer_file(folder.path() / name)) continue;
    findings.fail(name, "it is a Git LFS pointer, not the file itself", "fetch it: git lfs pull");
  }
}

void check_tokenizer(const Subject& subject, Findings& findings) {
  const Folder& folder = subject.folder;
  check_pointers(folder, findings);
  if (!has_tokenizer(folder)) {
    findings.fail("",
                  "no tokenizer: no tokenizer.json, tokenizer.model or vocab.json with merges.txt",
                  "copy the tokenizer files of the float model into the folder");
  }
  if (folder.has("tokenizer_config.json")) return;
  findings.warn("", "no tokenizer_config.json: no chat template, special tokens by default",
                "copy tokenizer_config.json of the float model into the folder");
}

/// "modeling_x" of "modeling_x.Class"; "" for code that lies in another repository.
std::string module_file(const std::string& reference) {
  if (reference.find("--") != std::string::npos) return "";
  const std::size_t dot = reference.find('.');
  return dot == std::string::npos ? "" : reference.substr(0, dot) + ".py";
}

std::set<std::string> code_files(const io::Json& json) {
  std::set<std::string> files;
  const io::Json* map = member(json, "auto_map");
  if (map == nullptr || !map->is_object()) return files;
  for (const auto& [name, value] : map->items()) {
    std::vector<std::string> references = texts_of(&value);
    if (value.is_string()) references.push_back(value.get<std::string>());
    for (const std::string& reference : references)
      files.insert(module_file(reference));
  }
  files.erase("");
  return files;
}

void check_code(const Subject& subject, Findings& findings) {
  for (const char* config : {"config.json", "tokenizer_config.json"}) {
    for (const std::string& file : code_files(subject.folder.json(config).json)) {
      if (subject.folder.has(file)) continue;
      findings.fail(config, fmt::format("auto_map needs {}, which is not there", file),
                    fmt::format("copy {} of the float model: engines load it with "
                                "trust_remote_code",
                                file));
    }
  }
}

void check_json(const Subject& subject, Findings& findings) {
  for (const char* file : {"tokenizer_config.json", "generation_config.json",
                           "special_tokens_map.json", "tokenizer.json"}) {
    const JsonFile& json = subject.folder.json(file);
    if (json.exists && !json.problem.empty())
      findings.fail(file, json.problem, "copy the file of the float model again");
  }
}

/// Files of other layouts that loaders prefer to config.json.
void check_foreign(const Subject& subject, Findings& findings) {
  const std::string_view layout = subject.folder.layout();
  const auto warn = [&](const char* file, const char* reader) {
    if (!subject.folder.has(file)) return;
    findings.warn(
        file, fmt::format("it is no file of the layout {}", layout),
        fmt::format("delete it unless it says the same: {} reads it before config.json", reader));
  };
  if (layout != kGptq) warn("quantize_config.json", "GPTQModel");
  if (layout != kAwq) warn("quant_config.json", "older AutoAWQ");
  warn("hf_quant_config.json", "vLLM");
}

constexpr std::array kRules = {
    Rule{"tokenizer-files",
         "the tokenizer is there",
         kFolderLayouts,
         {},
         "every engine but llama.cpp, which has it in the GGUF file",
         check_tokenizer},
    Rule{"remote-code",
         "the Python files that auto_map names are there",
         kFolderLayouts,
         {},
         "transformers, dynamic_module_utils",
         check_code,
         kConfig},
    Rule{"companions-readable",
         "the JSON files of tokenizer and generation can be read",
         kFolderLayouts,
         {},
         "transformers, AutoTokenizer and GenerationConfig",
         check_json},
    Rule{"no-foreign-config",
         "no configuration of another quantization tool lies around",
         kSafetensorsLayouts,
         {},
         "GPTQModel: quantize_config.json counts before config.json",
         check_foreign},
};

}  // namespace

extern const RuleFamily companions_rules;
constinit const RuleFamily companions_rules = {"companions", kRules};

}  // namespace pare::check
