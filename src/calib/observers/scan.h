// What every observer does first with a sample: its range, and no NaN or infinity in it.
#pragma once

#include "calib/observer.h"
#include "pare/tensor.h"

namespace pare::calib {

/// Smallest and largest value of a sample that has at least one.
/// Errors: not_finite, naming the first token and channel.
Range scan_range(MatrixView<const float> x);

}  // namespace pare::calib
