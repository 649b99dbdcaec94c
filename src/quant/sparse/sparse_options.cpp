#include "quant/sparse/sparse_options.h"

#include <fmt/format.h>

namespace pare::quant {

std::string fraction_warning(const ParamMap& params) {
  const double fraction = params.number("fraction", 0.01);
  if (fraction >= 0.01 && fraction <= 0.1) return "";
  return fmt::format("fraction {} is outside 0.01 to 0.1: {}", fraction,
                     fraction < 0.01 ? "few weights keep more than 4 bits, accuracy may suffer"
                                     : "many weights use all 8 bits, little is left to compress");
}

OutlierOptions outlier_options(const Scheme& scheme, const ParamMap& params) {
  OutlierOptions options;
  options.fraction = params.number("fraction", options.fraction);
  options.per_channel = scheme.granularity == Granularity::channel;
  return options;
}

QuantizedLinear empty_sparse(const TensorView& weight, const Scheme& scheme) {
  QuantizedLinear q;
  q.scheme = scheme;
  q.out = weight.shape[0];
  q.in = weight.shape[1];
  q.scale_dtype = DType::f32;
  allocate(q);
  return q;
}

void keep_scales(const OutlierGrids& grids, QuantizedLinear& q) {
  for (std::size_t i = 0; i < q.scales.size() && i < grids.size(); ++i)
    q.scales[i] = grids[i].inlier_scale;
}

}  // namespace pare::quant
