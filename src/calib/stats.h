// What one block's linears see during calibration: ranges per site, and a sample of input rows.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "calib/observer.h"
#include "model/block.h"
#include "pare/context.h"
#include "pare/job.h"

namespace pare::calib {

/// The parameters by which users choose how ranges are found.
std::span<const ParamSpec> observer_params() noexcept;

/// How the range of static activations is found; the numbers are msModelSlim's `act_method`.
enum class ActMethod { minmax = 1, histogram = 2, automatic = 3 };

/// A site's observer by method; `score` (RangeScore) decides for `automatic`.
std::unique_ptr<Observer> make_observer(ActMethod method, float score);
/// Whether `make_observer` would give the histogram.
bool uses_histogram(ActMethod method, float score) noexcept;

/// Linears that read the same site share its statistics, so fused engines find equal parameters.
struct SiteStats {
  std::unique_ptr<Observer> observer;  // null when no range is needed
  bool wants_gram = false;             // for methods that need one
  Matrix gram;                         // [I, I]
  Matrix rows;                         // evenly spaced input rows, for output distortion
  std::int64_t rows_kept = 0;
  std::int64_t tokens_seen = 0;
};

/// Collects the statistics of one block over all calibration sequences.
class StatsTap final : public model::BlockTap {
 public:
  /// `tokens` is the number the whole calibration will show; at most `sample_rows` are kept.
  StatsTap(const Context& ctx, std::string block, std::int64_t tokens, std::int64_t sample_rows)
      : ctx_(ctx), block_(std::move(block)), stride_(std::max<std::int64_t>(1, tokens / sample_rows)),
        capacity_(std::min(tokens, sample_rows)) {}

  SiteStats& site(model::Site site) noexcept { return sites_[static_cast<std::size_t>(site)]; }

  /// Errors: not_finite when an activation is NaN or infinite, naming block and site.
  void on_input(model::Site site, std::int64_t sequence, MatrixView<const float> x) override;

 private:
  void keep_rows(SiteStats& stats, MatrixView<const float> x) const;

  const Context& ctx_;
  std::string block_;
  std::int64_t stride_;
  std::int64_t capacity_;
  std::array<SiteStats, model::kSites.size()> sites_;
};

}  // namespace pare::calib
