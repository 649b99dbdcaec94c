#include "calib/stats.h"

#include "calib/gram.h"

#include <algorithm>

#include <fmt/format.h>

#include "kernels/quantize.h"
#include "pare/error.h"

namespace pare::calib {
namespace {

constexpr std::array kParams = {
    ParamSpec{.name = "act_method", .type = ParamType::integer, .default_value = "1",
              .choices = "1|2|3",
              .help = "range of static activations: 1 min-max, 2 histogram, 3 auto"},
};

}  // namespace

std::span<const ParamSpec> observer_params() noexcept { return kParams; }

bool uses_histogram(ActMethod method, float score) noexcept {
  return method == ActMethod::histogram ||
         (method == ActMethod::automatic && score <= kAutoHistogramLimit);
}

std::unique_ptr<Observer> make_observer(ActMethod method, float score) {
  return uses_histogram(method, score) ? make_histogram_observer() : make_minmax_observer();
}

void StatsTap::on_input(model::Site which, std::int64_t /*sequence*/, MatrixView<const float> x) {
  SiteStats& stats = site(which);
  for (std::int64_t t = 0; t < x.rows; ++t) {
    if (kernels::min_max(x.row_span(t)).finite) continue;
    throw Error(ErrorCode::not_finite,
                fmt::format("activations of {} (token {})", block_, stats.tokens_seen + t))
        .hint("the model overflows on this calibration text; try --compute f32 or other text");
  }
  if (stats.observer != nullptr) stats.observer->update(x);
  if (stats.wants_gram) add_gram(ctx_, x, stats.gram);
  keep_rows(stats, x);
  stats.tokens_seen += x.rows;
}

void StatsTap::keep_rows(SiteStats& stats, MatrixView<const float> x) const {
  if (stats.rows.rows() == 0) stats.rows = Matrix(capacity_, x.cols);
  for (std::int64_t t = 0; t < x.rows && stats.rows_kept < capacity_; ++t) {
    if ((stats.tokens_seen + t) % stride_ != 0) continue;
    std::copy_n(x.row(t), x.cols, stats.rows.view().row(stats.rows_kept++));
  }
}

}  // namespace pare::calib
