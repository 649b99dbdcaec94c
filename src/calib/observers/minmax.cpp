// The min-max observer: the arithmetic mean of what every sample's extremes were.
#include "calib/observer.h"
#include "calib/observers/scan.h"

namespace pare::calib {
namespace {

class MinMaxObserver final : public Observer {
 public:
  void update(MatrixView<const float> x) override {
    if (x.rows == 0 || x.cols == 0) return;
    const Range sample = scan_range(x);
    sum_of_minima_ += sample.min;
    sum_of_maxima_ += sample.max;
    samples_ += 1;
  }

  Range range() const override {
    if (samples_ == 0) return {};
    const auto n = static_cast<double>(samples_);
    return {static_cast<float>(sum_of_minima_ / n), static_cast<float>(sum_of_maxima_ / n)};
  }

 private:
  double sum_of_minima_ = 0;
  double sum_of_maxima_ = 0;
  std::int64_t samples_ = 0;
};

}  // namespace

std::unique_ptr<Observer> make_minmax_observer() { return std::make_unique<MinMaxObserver>(); }

}  // namespace pare::calib
