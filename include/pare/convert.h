// The numbers of a model folder in other files: another layout, or losslessly compressed ones.
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

// Of a job that is given to anything in here, `run.overwrite` alone counts of how to run it.
namespace pare {

/// The parameters of every layout that can be written, each name once. Threads: safe.
std::span<const ParamSpec> layout_params();

/// A layout by the name under which msModelSlim's ms_to_vllm.py knows it: "awq" is autoawq.
struct ToolLayout {
  std::string_view tool;
  std::string_view layout;
};
/// Sorted by tool. Threads: safe.
std::vector<ToolLayout> ms_to_vllm_tools();

/// Bits of the weights of one linear.
struct LinearBits {
  std::string name;
  int bits = 0;
};

/// What a conversion did. The same and more is in report.json.
struct ConvertReport {
  std::filesystem::path out;
  std::string from;  // layouts
  std::string to;
  std::size_t linears = 0;           // carried over
  std::size_t verified_tensors = 0;  // read again and compared
  std::int64_t scales = 0;
  std::int64_t scales_rounded = 0;   // to the type that the layout holds
  double worst_scale_change = 0;     // relative
  std::int64_t refitted_groups = 0;  // quantized again, where a parameter allowed it
  double max_weight_difference = 0;  // over all weights of the linears
  double max_float_difference = 0;   // over all float tensors
  double seconds = 0;
  double seconds_verifying = 0;
  std::size_t peak_rss_bytes = 0;
  std::vector<std::string> lines;  // for people
};

/// A quantized model that is to be written in another layout: codes, scales and zero points are
/// carried over, never quantized again. Holds the source open.
class Conversion {
 public:
  /// `job.model` is a folder in any layout of listings(), compressed or not; `job.params` holds
  /// layout_params().
  /// Errors: unknown_entry (no such layout), bad_option_value (a parameter of another layout),
  ///         file_not_found, bad_usage (float weights), bad_config, scheme_not_supported, those of
  ///         the layout.
  Conversion(Job job, std::string_view to);
  /// The files of an Ascend output by name: `job.model` is a weight file or a folder of several,
  /// `description` says what its tensors are. Errors: as above.
  Conversion(Job job, const std::filesystem::path& description, std::string_view to);
  ~Conversion();
  Conversion(Conversion&&) noexcept;
  Conversion& operator=(Conversion&&) noexcept;

  /// Where config.json and tokenizer are taken from.
  const std::filesystem::path& folder() const noexcept;
  /// Layouts of the source and of the output.
  std::string_view from() const noexcept;
  std::string_view to() const noexcept;
  /// Of every linear, sorted by name. Errors: those of the layout.
  std::vector<LinearBits> weight_bits() const;

  /// Writes a complete folder, reads it again and holds it against the source. Says the event
  /// `done`. Memory: the largest float tensor, or linears of 128 Mi codes together.
  /// Errors: bad_usage (the output is the source), output_exists, output_not_writable,
  ///         scheme_not_supported, out_of_range, not_finite, verify_failed, interrupted, those of
  ///         the source. On any error nothing stays on disk.
  /// Threads: those of `ctx`; the same bytes for any number.
  ConvertReport run(const Context& ctx) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// How weights are coded, and which: for compress and export_dat. Threads: safe.
std::span<const ParamSpec> codec_params() noexcept;

/// Weights set to zero at random before coding.
struct PseudoSparse {
  double ratio = 1;  // share of weights kept
  std::uint64_t seed = 0;
};

/// One tensor of the weight files.
struct CompressedTensor {
  std::string file;
  std::string name;
  std::size_t from = 0;
  std::size_t to = 0;
  bool coded = false;
};

struct CompressResult {
  std::vector<CompressedTensor> tensors;  // by file and place
  std::size_t weight_bytes = 0;           // of the weight files before and after
  std::size_t packed_bytes = 0;
  std::size_t folder_bytes = 0;  // of all files before and after
  std::size_t packed_folder_bytes = 0;
  double seconds = 0;
  std::size_t peak_rss = 0;

  double ratio() const noexcept {
    return weight_bytes == 0
               ? 1
               : static_cast<double>(packed_bytes) / static_cast<double>(weight_bytes);
  }
};

/// Packs every weight file of a model folder, reads it back and compares its SHA-256; copies the
/// rest. `job.params` holds codec_params(). Warns when weights are changed; says the event `done`.
/// Memory: does not grow with the model; with `pseudo_sparse`, one int8 matrix more.
/// Errors: bad_usage (packed already, a seed that nothing uses), file_not_found (no weights),
///         pattern_matches_nothing, output_exists, output_not_writable, verify_failed, interrupted,
///         those of the containers. On any error nothing stays on disk.
/// Source: docs/formats/packed.md
CompressResult compress(const Context& ctx, const Job& job);

struct DecompressResult {
  std::size_t files = 0;
  std::size_t bytes = 0;
  std::optional<PseudoSparse> changed;  // the originals were changed before packing
  double seconds = 0;
  std::size_t peak_rss = 0;
};

/// Gives back every original file of the packed folder `job.model`, bytes and permissions, each
/// proven by its SHA-256. Warns when the weights had been changed; says the event `done`.
/// Errors: file_not_found (not a packed folder, a file is missing), corrupt_stream (file, tensor
///         and tile), output_exists, output_not_writable, interrupted. Nothing stays on disk then.
DecompressResult decompress(const Context& ctx, const Job& job);

/// The parameters of export_dat, besides those of the codec. Threads: safe.
std::span<const ParamSpec> dat_params() noexcept;

struct DatWeight {
  std::string key;
  std::int64_t rows = 0;     // n, of the matrix that was tiled
  std::int64_t columns = 0;  // k
  std::size_t stored = 0;    // bytes of weight/KEY.dat
  bool coded = false;
};

struct ExportDatResult {
  std::vector<DatWeight> weights;
  std::size_t left_out = 0;  // other tensors
  std::size_t from = 0;      // rows * columns of all weights
  std::size_t to = 0;
  double seconds = 0;

  double ratio() const noexcept {
    return from == 0 ? 1 : static_cast<double>(to) / static_cast<double>(from);
  }
};

/// Writes every int8 matrix of `job.model` (a quantized folder, packed or not, or one
/// quant_weight.npy) as loose files weight/, index/, info/ and codec/KEY.dat. `job.params` holds
/// dat_params() and codec_params(). Says the event `done`. Memory: one weight tiled.
/// Errors: scheme_not_supported (no int8 matrices, 4-bit codes two to a byte),
///         pattern_matches_nothing, feature_not_supported (a key that is no file name), bad_usage,
///         output_exists, output_not_writable, interrupted, those of the containers.
/// Source: docs/formats/packed.md
ExportDatResult export_dat(const Context& ctx, const Job& job);

}  // namespace pare
