// What smoothing needs to know of the two norms of a block: the range of every channel, and a few
// rows to try strengths on.
#pragma once

#include "model/block.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace pare::transform {

/// Output of one norm over the samples that were shown.
struct ChannelStats {
  std::vector<float> min;  // [D]
  std::vector<float> max;  // [D]
  Matrix rows;             // [up to the number asked for, D]; rows_kept of them are filled
  std::int64_t rows_kept = 0;
  std::int64_t tokens_seen = 0;

  MatrixView<const float> kept() const noexcept { return rows.view().rows_from(0, rows_kept); }
};

/// The sites whose input comes from a norm.
inline constexpr std::array kNormSites = {model::Site::attention_input, model::Site::mlp_input};

/// Collects the statistics of one block's norms.
class NormTap final : public model::BlockTap {
 public:
  /// Looks at the first `tokens` tokens of each norm; keeps at most `max_rows`, evenly spaced.
  NormTap(std::string block, std::int64_t tokens, std::int64_t max_rows);

  /// Errors: not_finite when a value is NaN or infinite, naming the block.
  void on_input(model::Site site, std::int64_t sequence, MatrixView<const float> x) override;

  const ChannelStats& at(model::Site site) const noexcept {
    return stats_[site == model::Site::attention_input ? 0 : 1];
  }

 private:
  void add_row(ChannelStats& stats, const float* x) const;

  std::string block_;
  std::int64_t tokens_;
  std::int64_t stride_;
  std::int64_t capacity_;
  std::array<ChannelStats, kNormSites.size()> stats_;
};

}  // namespace pare::transform
