// A look at a model folder: what it is, and whether engines would load it.
#pragma once

#include "pare/context.h"
#include "pare/tensor.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare {

/// From what says least to what counts most. `not_looked_at`: what a rule needs is not there.
/// `no_rules`: these are quantized weights, or another part, of a kind that Pare has no rules for,
/// which is neither right nor wrong.
enum class Verdict : std::uint8_t { not_looked_at, ok, warn, no_rules, fail };

/// "not-looked-at", "ok", "warn", "no-rules", "fail"
std::string_view name_of(Verdict verdict) noexcept;

/// What a rule found wrong, and what to do about it.
struct Finding {
  Verdict verdict = Verdict::fail;
  std::string where;  // file, module or tensor; "" = the folder
  std::string found;
  std::string fix;
};

/// What one rule has to say.
struct RuleOutcome {
  std::string_view rule;     // id
  std::string_view summary;  // what holds when the rule is kept
  Verdict verdict = Verdict::ok;
  std::string note;  // something worth knowing that is right as it is; why it was not looked at
  std::size_t count = 0;          // of all findings …
  std::vector<Finding> findings;  // … of which the first ones are kept
};

/// What the rules of one engine found.
struct TargetOutcome {
  std::string_view target;  // id
  Verdict verdict = Verdict::ok;
  std::vector<RuleOutcome> rules;
};

/// What checking a folder found. Its ids and summaries live as long as the program.
struct FolderCheck {
  std::filesystem::path folder;
  std::string_view layout;         // "autoawq", …; "float", "packed", "other", "unknown"
  std::string recognised;          // of layouts without rules: what they seem to be; else ""
  std::size_t linears = 0;         // quantized ones
  std::size_t weight_files = 0;    // of safetensors
  Verdict verdict = Verdict::ok;   // fails when a rule of the layout or of the asked engine fails
  std::vector<RuleOutcome> rules;  // that hold for whoever loads the folder
  std::vector<TargetOutcome> targets;  // the one asked for, or every one that reads the layout
};

struct CheckFor {
  std::string target = {};  // id of an engine; "" = the layout, and each engine that reads it
  std::int64_t tensor_parallel = 0;  // devices that are to share the model; 0 = not said
};

/// Holds a folder, made by any tool, against what loaders expect. Whatever the files say becomes a
/// finding, so that all problems are reported at once.
/// Errors: unknown_entry (no such engine), file_not_found (no such folder), file_io, interrupted.
FolderCheck check_folder(const Context& ctx, const std::filesystem::path& folder,
                         const CheckFor& options = {});

/// Size a scheme would give in the format that stores it smallest, before anything is done.
struct SchemeSize {
  std::string scheme;
  std::string format;
  std::int64_t group_size = 0;
  std::size_t linears = 0;  // that would be quantized
  std::size_t bytes = 0;    // of all weights
  double bits = 0;          // per parameter
};

/// Something that a scan of the values found.
struct ValueProblem {
  std::string tensor;
  std::string what;  // "holds NaN or infinity", "2 of 640 rows are all zero"
};

/// What compression of the weight files saves.
struct PackedSizes {
  std::size_t original_bytes = 0;
  std::size_t packed_bytes = 0;
};

/// The sizes of a model that can be run.
struct ModelShape {
  std::string architecture;  // "llama"
  std::int64_t layers = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab_size = 0;
};

struct TensorFacts {
  std::string name;
  std::string type;  // as the file spells it: "BF16"
  Shape shape;
  std::size_t bytes = 0;
};

/// What a model folder is.
struct FolderFacts {
  std::string model;                  // what its configuration calls itself
  std::optional<ModelShape> shape;    // nullopt: it cannot be run, and …
  std::string problem;                // … why not
  std::string quantized;              // "42 linears as w8a8s, format ascend"; "" for a float model
  std::vector<TensorFacts> tensors;   // sorted by name
  std::size_t files = 0;              // that hold them
  std::optional<PackedSizes> packed;  // of a folder that compress() made
  std::vector<std::string> linears;   // that could be quantized
  std::vector<SchemeSize> sizes;
  std::vector<ValueProblem> problems;  // only of a scan
  bool scanned = false;
  std::int64_t parameters = 0;
  std::size_t bytes = 0;  // of all tensors, unpacked
  bool tied_head = false;
};

/// From headers alone, so it is instant for any size; with `scan` every value is read.
/// Errors: those of opening the checkpoint, interrupted. An unknown architecture is no error.
FolderFacts inspect_folder(const Context& ctx, const std::filesystem::path& model,
                           bool scan = false);

}  // namespace pare
