// Quantization of a float checkpoint: what may be asked for, the plan, and carrying it out.
#pragma once

#include "pare/context.h"
#include "pare/job.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare {

/// The parameters of a quantization: the job's own, those of all methods and of all layouts. Their
/// names are the keys of recipes, and with dashes the options of `pare quantize`.
/// Threads: safe; the table lives as long as the program.
std::span<const ParamSpec> recipe_params();

/// Sets a parameter of a quantization by its name: set_param(job.params, "scheme", "w8a8").
/// Errors: unknown_entry with a near match; bad_option_value.
void set_param(ParamMap& params, std::string_view name, std::string_view value);

/// Adds the values of a recipe, a YAML file of `key: value` lines, where none was given yet.
/// Errors: file_not_found; bad_recipe with the line, and a near match for an unknown key.
void read_recipe(const std::filesystem::path& file, ParamMap& params);

/// What is known of a run before it begins.
struct PlanFigures {
  std::string model;             // "LlamaForCausalLM"
  std::string scheme;            // "w4a16 g64"
  std::size_t linears = 0;       // that could be quantized
  std::size_t quantized = 0;     // that will be
  std::size_t input_bytes = 0;   // of the weights
  std::size_t output_bytes = 0;  // of all outputs
  std::size_t memory_bytes = 0;  // peak, by formula
  double seconds = 0;            // a rough guess
  std::size_t samples = 0;       // of calibration data; 0 = the scheme needs none
  std::int64_t tokens = 0;
  std::string ids_sha256;  // of the calibration tokens
};

/// One layout that was written.
struct WrittenOutput {
  std::string layout;
  std::filesystem::path folder;
  std::size_t bytes = 0;      // of the weight files
  double effective_bits = 0;  // per parameter, over all weight files
};

/// How close one linear came.
/// Units: dB of signal to quantization noise; infinite when nothing was lost.
struct LinearQuality {
  std::string name;
  double weight_sqnr_db = 0;
  std::optional<double> output_sqnr_db;  // on sampled calibration rows, where there are any
};

/// What was done. The same and more is in report.json of each output.
struct QuantizeReport {
  std::vector<WrittenOutput> outputs;
  std::vector<LinearQuality> linears;  // in the order of the model
  double seconds = 0;
  std::size_t peak_rss_bytes = 0;
  std::vector<std::string> lines;  // the closing table, for people
};

/// Everything decided before the work begins; every refusal happens here. Holds the model open.
class QuantizePlan {
 public:
  /// Reads headers, and with calibration data its tokens; ranks linears where `disable_level` asks
  /// for it. Values that `job.params` lacks take their defaults. Says the event `plan`.
  /// Errors: bad_usage (no output named), output_exists, those of the job, the model and the data,
  ///         memory_limit, interrupted.
  QuantizePlan(const Context& ctx, Job job);
  ~QuantizePlan();
  QuantizePlan(QuantizePlan&&) noexcept;
  QuantizePlan& operator=(QuantizePlan&&) noexcept;

  const PlanFigures& figures() const noexcept;

  /// What will be done, what is kept and why, size, memory and time: lines for people.
  std::vector<std::string> lines() const;

  /// Quantizes a few rows and tells, in lines for people, what the codes will look like and what
  /// they would compress to. Empty when the method needs more than weights. Says the event `codes`.
  /// Errors: those of the method, naming the linear.
  std::vector<std::string> sample_codes(const Context& ctx) const;

  /// Quantizes, writes complete folders, reads them back and compares. Says the event `done`.
  /// Errors: those of reading and writing, not_finite, out_of_range, verify_failed, interrupted. On
  ///         any error nothing stays on disk.
  /// Threads: those of `ctx`; the same bytes for any number.
  QuantizeReport run(const Context& ctx) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Plans and runs. Errors: those of both.
QuantizeReport quantize(const Context& ctx, const Job& job);

/// One entry of a table of this build: a scheme, a method, a layout, a rule, … Views into tables
/// that live as long as the program; what does not apply to a kind is empty.
struct Entry {
  std::string_view id;
  std::string_view summary;
  std::span<const ParamSpec> params = {};
  std::string_view paper = {};                     // of methods
  std::string_view source = {};                    // of engines and rules: where it comes from
  std::span<const std::string_view> layouts = {};  // that it concerns; rules: empty = all
  std::span<const std::string_view> targets = {};  // engines that ask for a rule
};

/// All entries of one kind.
struct Listing {
  std::string_view id;     // "methods"
  std::string_view title;  // "methods: how a weight becomes codes"
  std::vector<Entry> entries;
};

/// What this build can do, by kind. Threads: safe.
std::vector<Listing> listings();

/// The instruction sets whose kernels this CPU can run, best last, and the one in use, which
/// PARE_ISA in the environment caps. Errors: bad_option_value for a PARE_ISA that is none of them.
struct InstructionSets {
  std::vector<std::string_view> available;
  std::string_view in_use;
};
InstructionSets instruction_sets();

}  // namespace pare
