// Parameters, codes and min-max weights against the vectors of the reference implementation, bit
// for bit.
#include "support/oracle.h"

#include "kernels/quantize.h"
#include "pare/job.h"
#include "quant/affine.h"
#include "quant/method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace pare::quant {
namespace {

using nlohmann::json;
using test::NpyArray;
using test::Oracle;
using test::to_floats;

std::vector<float> stored_codes(const NpyArray& array) {
  if (array.type != "|i1") return to_floats(array);
  const std::vector<std::int8_t> codes = array.values<std::int8_t>();
  return {codes.begin(), codes.end()};
}

struct Limits {
  float lo;
  float hi;
};

Limits limits_of(const json& params) {
  const int bits = params.at("bit");
  const int bound = params.at("max_bound");
  if (bound > 0) return {static_cast<float>(-bound), static_cast<float>(bound)};
  const float half = static_cast<float>(1 << (bits - 1));
  if (params.at("signed").get<bool>()) return {-half, half - 1};
  return {0, 2 * half - 1};
}

TEST(Oracle, ParametersAndFakeQuantization) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != "linear_quantization_params+fake_quantize") continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const json& params = one.at("params");
    const bool unsigned_asym = !params.at("signed").get<bool>() && !params.at("sym").get<bool>();
    const auto array = [&](const char* name) { return to_floats(oracle.array(one, name)); };
    const std::vector<float> low = array("x_min"), high = array("x_max"), x = array("x");
    const std::vector<float> scale = array("scale"), zero = array("offset"), q = array("q");
    const std::vector<float> dequantized = array("dequant");
    const Limits limits = limits_of(params);
    const DType stored = test::to_tensor(oracle.array(one, "dequant")).dtype();
    const std::size_t columns = x.size() / low.size();
    for (std::size_t row = 0; row < low.size(); ++row) {
      AffineParams p = affine_params(params.at("bit"), low[row], high[row], params.at("sym"));
      if (unsigned_asym) p.zero_point += static_cast<float>(1 << (params.at("bit").get<int>() - 1));
      ASSERT_EQ(p.scale, scale[row]) << row;
      ASSERT_EQ(p.zero_point, zero[row]) << row;
      std::vector<float> fake(x.begin() + static_cast<std::ptrdiff_t>(row * columns),
                              x.begin() + static_cast<std::ptrdiff_t>((row + 1) * columns));
      for (std::size_t c = 0; c < columns; ++c) {
        ASSERT_EQ(quantize_value(fake[c], p, limits.lo, limits.hi), q[row * columns + c]);
      }
      fake_quantize(fake, p, limits.lo, limits.hi);
      for (std::size_t c = 0; c < columns; ++c) {
        ASSERT_EQ(round_through(fake[c], stored), dequantized[row * columns + c]);
      }
    }
    ++ran;
  }
  EXPECT_EQ(ran, 16);
  RecordProperty("cases", ran);
}

/// The min-max method on a case's weight, compared with its codes, scales, zero points and values.
void expect_equal(Oracle& oracle, const json& one, const NpyArray& weight, const Scheme& scheme,
                  const char* values_name) {
  const Context ctx(1);
  const Tensor w = test::to_tensor(weight);
  const QuantizedLinear q =
      find_method("minmax").quantize(ctx, {w.view(), scheme, DType::f32, ParamMap{}});
  const std::vector<float> codes(q.codes.begin(), q.codes.end());
  EXPECT_EQ(codes, stored_codes(oracle.array(one, "q")));
  EXPECT_EQ(q.scales, to_floats(oracle.array(one, "scale")));
  EXPECT_EQ(q.zeros, to_floats(oracle.array(one, "offset")));
  if (!one.at("outputs").contains(values_name)) return;
  Matrix values(q.out, q.in);
  dequantize(ctx, q, values.view());
  EXPECT_EQ(values.values(), to_floats(oracle.array(one, values_name)));
}

TEST(Oracle, WeightsPerRowAndPerTensor) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != "init_weight_quant_normal" || one.at("compare") != "exact") continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const json& params = one.at("params");
    Scheme scheme;
    scheme.weight_bits = params.at("bit");
    scheme.symmetric = params.at("sym");
    scheme.granularity =
        params.at("mm_tensor").get<bool>() ? Granularity::tensor : Granularity::channel;
    expect_equal(oracle, one, oracle.array(one, "w"), scheme, "dequant");
    ++ran;
  }
  EXPECT_EQ(ran, 6);
  RecordProperty("cases", ran);
}

/// True for the plain and per-group min-max cases of the low-bit module.
bool is_plain_minmax(const json& one) {
  if (one.at("function") != "lowbit.quant_one_weight_by_outliers") return false;
  const json& params = one.at("params");
  if (params.value("use_hqq", false) || params.value("progressive", false)) return false;
  return !params.value("open_outlier", true) || params.at("num_bits") == 8;
}

TEST(Oracle, WeightsPerGroup) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (!is_plain_minmax(one)) continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const json& params = one.at("params");
    Scheme scheme;
    scheme.weight_bits = params.at("num_bits");
    scheme.symmetric = params.value("w_sym", true);
    scheme.group_size = params.value("group_size", 0);
    scheme.granularity = scheme.group_size > 0               ? Granularity::group
                         : params.value("per_channel", true) ? Granularity::channel
                                                             : Granularity::tensor;
    expect_equal(oracle, one, oracle.input(one.at("inputs").at(0)), scheme, "rec");
    ++ran;
  }
  EXPECT_EQ(ran, 20);
  RecordProperty("cases", ran);
}

}  // namespace
}  // namespace pare::quant
