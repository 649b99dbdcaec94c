#include "transform/channel_stats.h"

#include "kernels/quantize.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace pare::transform {

NormTap::NormTap(std::string block, std::int64_t tokens, std::int64_t max_rows)
    : block_(std::move(block)),
      tokens_(tokens),
      stride_(std::max<std::int64_t>(1, (tokens + max_rows - 1) / max_rows)),
      capacity_((tokens + stride_ - 1) / stride_) {}

void NormTap::on_input(model::Site site, std::int64_t /*sequence*/, MatrixView<const float> x) {
  if (std::find(kNormSites.begin(), kNormSites.end(), site) == kNormSites.end()) return;
  ChannelStats& stats = stats_[site == model::Site::attention_input ? 0 : 1];
  if (stats.min.empty()) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    stats.min.assign(static_cast<std::size_t>(x.cols), kInfinity);
    stats.max.assign(static_cast<std::size_t>(x.cols), -kInfinity);
    stats.rows = Matrix(capacity_, x.cols);
  }
  for (std::int64_t t = 0; t < x.rows && stats.tokens_seen < tokens_; ++t) {
    if (!kernels::min_max(x.row_span(t)).finite) {
      throw Error(ErrorCode::not_finite,
                  fmt::format("activations of {} (token {})", block_, stats.tokens_seen))
          .hint("the model overflows on this calibration text; try --compute f32 or other text");
    }
    add_row(stats, x.row(t));
  }
}

void NormTap::add_row(ChannelStats& stats, const float* x) const {
  for (std::size_t c = 0; c < stats.min.size(); ++c) {
    stats.min[c] = std::min(stats.min[c], x[c]);
    stats.max[c] = std::max(stats.max[c], x[c]);
  }
  if (stats.tokens_seen % stride_ == 0) {
    std::copy_n(x, stats.min.size(), stats.rows.view().row(stats.rows_kept++));
  }
  ++stats.tokens_seen;
}

}  // namespace pare::transform
