#include "pipeline/output/code_stats.h"

#include "pare/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace pare::pipeline {
namespace {

constexpr int kInlier = 7;  // the largest code of the 4-bit grid

CodeCounts count_piece(std::span<const std::int8_t> codes) noexcept {
  // Four tables, so that a code does not wait for the count of an equal one before it.
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  std::size_t i = 0;
  for (; i + 4 <= codes.size(); i += 4) {
    for (std::size_t t = 0; t < 4; ++t)
      ++tables[t][static_cast<std::uint8_t>(codes[i + t])];
  }
  for (; i < codes.size(); ++i)
    ++tables[0][static_cast<std::uint8_t>(codes[i])];
  CodeCounts counts;
  for (const auto& table : tables) {
    for (std::size_t code = 0; code < 256; ++code)
      counts.of[code] += table[code];
  }
  return counts;
}

}  // namespace

std::uint64_t CodeCounts::total() const noexcept {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : of)
    sum += count;
  return sum;
}

void CodeCounts::add(const CodeCounts& other) noexcept {
  for (std::size_t code = 0; code < of.size(); ++code)
    of[code] += other.of[code];
}

CodeCounts count_codes(const Context& ctx, std::span<const std::int8_t> codes) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const std::size_t pieces = (codes.size() + kPiece - 1) / kPiece;
  std::vector<CodeCounts> parts(pieces);
  ctx.parallel_for(static_cast<std::int64_t>(pieces), [&](std::int64_t i) {
    const auto first = static_cast<std::size_t>(i) * kPiece;
    parts[static_cast<std::size_t>(i)] =
        count_piece(codes.subspan(first, std::min(kPiece, codes.size() - first)));
  });
  CodeCounts counts;
  for (const CodeCounts& part : parts)
    counts.add(part);
  return counts;
}

CodeStats code_stats(const CodeCounts& counts) {
  CodeStats stats;
  const auto total = static_cast<double>(counts.total());
  if (total == 0) return stats;
  for (std::size_t index = 0; index < counts.of.size(); ++index) {
    if (counts.of[index] == 0) continue;
    const int code = static_cast<std::int8_t>(index);
    const double share = static_cast<double>(counts.of[index]) / total;
    if (code == 0) stats.zeros = share;
    if (code > kInlier || code < -kInlier) stats.outliers += share;
  }
  const codec::Estimate estimate = codec::estimate(counts.of);
  stats.entropy_bits = estimate.entropy_bits;
  stats.coded_bits = estimate.coded_bits;
  return stats;
}

void CodeTotals::add(const CodeStats& stats, std::int64_t weights) noexcept {
  const auto weight = static_cast<double>(weights);
  sums_.zeros += stats.zeros * weight;
  sums_.outliers += stats.outliers * weight;
  sums_.entropy_bits += stats.entropy_bits * weight;
  sums_.coded_bits += stats.coded_bits * weight;
  weights_ += weight;
}

CodeStats CodeTotals::mean() const noexcept {
  if (weights_ == 0) return {};
  return {sums_.zeros / weights_, sums_.outliers / weights_, sums_.entropy_bits / weights_,
          sums_.coded_bits / weights_};
}

std::size_t CodeTotals::packed_bytes(std::int64_t weights) const noexcept {
  return static_cast<std::size_t>(std::ceil(mean().coded_bits * static_cast<double>(weights) / 8));
}

std::string code_stats_text(const CodeStats& stats, bool sparse) {
  const std::string outliers =
      sparse ? fmt::format("{:.2f} % outliers, ", 100 * stats.outliers) : std::string();
  return fmt::format("{:.1f} % zeros, {}{:.2f} bits of entropy per weight", 100 * stats.zeros,
                     outliers, stats.entropy_bits);
}

}  // namespace pare::pipeline
