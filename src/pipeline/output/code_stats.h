// What the codes of quantized linears look like to a compressor: zeros, outliers, entropy, and the
// size that coding them would give.
#pragma once

#include "layouts/output_plan.h"
#include "pare/context.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace pare::pipeline {

/// How often each int8 code occurs; index = the code as an unsigned byte.
struct CodeCounts {
  std::array<std::uint64_t, 256> of{};

  std::uint64_t total() const noexcept;
  void add(const CodeCounts& other) noexcept;
};

/// Threads: any number, same counts.
CodeCounts count_codes(const Context& ctx, std::span<const std::int8_t> codes);

/// Shares are of all codes, 0..1.
struct CodeStats {
  double zeros = 0;
  double outliers = 0;  // |code| > 7: off the 4-bit grid
  double entropy_bits =
      0;                  // order-0, per code: no coder that looks at codes one by one does better
  double coded_bits = 0;  // per code, as `pare compress` would store them
};
CodeStats code_stats(const CodeCounts& counts);

/// Means over several linears, weighted by their numbers of weights.
class CodeTotals {
 public:
  void add(const CodeStats& stats, std::int64_t weights) noexcept;
  CodeStats mean() const noexcept;

  /// Bytes that so many weights take compressed, when they are like those seen.
  std::size_t packed_bytes(std::int64_t weights) const noexcept;

 private:
  CodeStats sums_;
  double weights_ = 0;
};

/// What `pare compress` would make of the weight files of an output, `bytes` in all: every kind of
/// tensor, codes as well as scales and floats, is coded as it codes them, in a sample.
/// Errors: those of opening the files. Implemented in packed_estimate.cpp.
std::size_t estimate_packed(const Context& ctx, const layout::OutputPlan& plan,
                            const std::filesystem::path& folder, std::size_t bytes);

/// "12.3 % zeros, 1.1 % outliers, 3.05 bits of entropy per weight"; outliers mean something on a
/// sparse grid only.
std::string code_stats_text(const CodeStats& stats, bool sparse);

}  // namespace pare::pipeline
