// The min-max method against codes, scales and zero points made with NumPy
// (tests/golden/generate/make_numerics.py), bit for bit.
#include "quant/method.h"
#include "support/golden_bits.h"

#include <gtest/gtest.h>

#include <vector>

namespace pare::quant {
namespace {

using nlohmann::json;

Scheme scheme_of(const json& one) {
  Scheme scheme;
  scheme.weight_bits = one.at("bits");
  scheme.symmetric = one.at("symmetric");
  scheme.group_size = one.at("group_size");
  const std::string granularity = one.at("granularity");
  scheme.granularity = granularity == "tensor"    ? Granularity::tensor
                       : granularity == "channel" ? Granularity::channel
                                                  : Granularity::group;
  return scheme;
}

TEST(Golden, MinMaxWeights) {
  const Context ctx(1);
  const json golden = test::golden_numerics("weights.json");
  ASSERT_EQ(golden.at("cases").size(), 36U);
  for (const json& one : golden.at("cases")) {
    const Scheme scheme = scheme_of(one);
    const DType dtype = *dtype_from_name(one.at("dtype").get<std::string>());
    const DType scale_dtype = *dtype_from_name(one.at("scale_dtype").get<std::string>());
    SCOPED_TRACE(scheme.text() + " of " + std::string(name_of(dtype)) + ", scales " +
                 std::string(name_of(scale_dtype)));
    const Shape shape(one.at("shape").get<std::vector<std::int64_t>>());
    const Tensor weight = store_floats(test::floats_of(one.at("weight")), dtype, shape);
    const QuantizedLinear q =
        find_method("minmax").quantize(ctx, {weight.view(), scheme, scale_dtype, ParamMap{}});
    EXPECT_EQ(q.codes, one.at("codes").get<std::vector<std::int8_t>>());
    EXPECT_EQ(q.scales, test::floats_of(one.at("scales")));
    EXPECT_EQ(q.zeros, test::floats_of(one.at("zeros")));
  }
}

}  // namespace
}  // namespace pare::quant
