// Sparse and two-stage weights against the vectors of the reference implementation, bit for bit.
#include "kernels/outliers.h"
#include "kernels/quantize.h"
#include "pare/job.h"
#include "quant/method.h"
#include "quant/row_blocks.h"
#include "quant/sparse/lowbit_fake_quantize.h"
#include "quant/sparse/outliers.h"
#include "quant/sparse/power_quant.h"
#include "support/oracle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace pare::quant {
namespace {

using nlohmann::json;
using test::NpyArray;
using test::Oracle;
using test::to_floats;

constexpr const char* kCoSparse = "co_sparse.quant_one_weight_by_outliers";
constexpr const char* kLowbit = "lowbit.quant_one_weight_by_outliers";

std::vector<std::int8_t> codes_of(const NpyArray& array) { return array.values<std::int8_t>(); }

OutlierOptions options_of(const json& params) {
  OutlierOptions options;
  options.fraction = params.value("fraction", 0.01);
  options.per_channel = params.at("per_channel");
  options.inlier_bits = params.at("num_bits");
  return options;
}

Scheme sparse_scheme(bool per_channel) {
  Scheme scheme;
  scheme.activations = Activations::static_tensor;
  scheme.form = CodeForm::outliers;
  scheme.granularity = per_channel ? Granularity::channel : Granularity::tensor;
  return scheme;
}

/// A weight on grids, and the rows where the reference has a scale to compare with.
struct Result {
  OutlierGrids grids;
  std::vector<std::int8_t> codes;
  Matrix values;
  std::int64_t columns;

  Result(const TensorView& weight, OutlierGrids on, float power)
      : grids(std::move(on)), values(weight.shape[0], weight.shape[1]), columns(weight.shape[1]) {
    codes.resize(static_cast<std::size_t>(weight.numel()));
    WidenedRow reader;
    for (std::int64_t row = 0; row < weight.shape[0]; ++row) {
      const std::span<const float> w = reader.read(weight, row);
      const kernels::SplitGrid& grid = grids[static_cast<std::size_t>(row)];
      write_split_codes(w, grid, power, codes.data() + row * columns);
      write_split_values(w, grid, power, values.view().row(row));
    }
  }

  /// Scales, codes and (where stored) values are the reference's, save rows whose scale it has as
  /// 0: there its values are NaN or 0, and ours are as near as 8 bits can be.
  void expect_equal(Oracle& oracle, const json& one, const Tensor& weight) const {
    const std::vector<float> scales = to_floats(oracle.array(one, "scale"));
    const std::vector<std::int8_t> q = codes_of(oracle.array(one, "q"));
    const bool has_values = one.at("outputs").contains("rec");
    const std::vector<float> rec =
        has_values ? to_floats(oracle.array(one, "rec")) : std::vector<float>();
    const std::vector<float> w = read_floats(weight.view());
    for (std::size_t i = 0; i < q.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(columns);
      const float scale = scales[scales.size() == 1 ? 0 : row];
      if (scale == 0) {
        const float step = grids[row].outlier_scale;
        ASSERT_LE(std::fabs(values.values()[i] - w[i]), step * 0.5001F) << row;
        ASSERT_TRUE(w[i] != 0 || codes[i] == 0) << row;
        continue;
      }
      ASSERT_EQ(grids[row].inlier_scale, scale) << row;
      ASSERT_EQ(codes[i], q[i]) << "weight " << i;
      if (has_values) {
        ASSERT_EQ(values.values()[i], rec[i]) << "weight " << i;
      }
    }
  }
};

TEST(SparseOracle, CoSparse) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  const Context ctx(2);
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != kCoSparse || one.at("params").at("powerquant").get<bool>()) continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const Tensor weight = test::to_tensor(oracle.input(one.at("inputs").at(0)));
    const OutlierOptions options = options_of(one.at("params"));
    const Result result(weight.view(), tensor_outliers(ctx, weight.view(), options), 1);
    result.expect_equal(oracle, one, weight);
    ++ran;
    if (options.inlier_bits != 4) continue;
    // What users get: the same codes and scales by way of the method.
    ParamMap params;
    params.set(find_method("co-sparse").params[0], std::to_string(options.fraction), "test");
    const QuantizedLinear q =
        find_method("co-sparse")
            .quantize(ctx, {weight.view(), sparse_scheme(options.per_channel), DType::f16, params});
    EXPECT_EQ(q.codes, result.codes);
    EXPECT_EQ(q.scales.size(), options.per_channel ? static_cast<std::size_t>(q.out) : 1U);
    for (std::size_t row = 0; row < q.scales.size(); ++row)
      EXPECT_EQ(q.scales[row], result.grids[row].inlier_scale);
  }
  EXPECT_EQ(ran, 66);
  RecordProperty("cases", ran);
}

TEST(SparseOracle, CoSparseInAPowerDomain) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  const Context ctx(2);
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != kCoSparse || !one.at("params").at("powerquant").get<bool>()) continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const Tensor weight = test::to_tensor(oracle.input(one.at("inputs").at(0)));
    const OutlierOptions options = options_of(one.at("params"));
    const double alpha = one.at("alpha");
    const Result result(weight.view(),
                        tensor_outliers(ctx, weight.view(), options, static_cast<float>(alpha)),
                        static_cast<float>(alpha));
    EXPECT_EQ(result.codes, codes_of(oracle.array(one, "q")));
    const std::vector<float> scales = to_floats(oracle.array(one, "scale"));
    for (std::size_t row = 0; row < scales.size(); ++row)
      ASSERT_NEAR(result.grids[row].inlier_scale, scales[row], 2e-7F * scales[row]);
    const std::vector<float> rec = to_floats(oracle.array(one, "rec"));
    const float largest = *std::max_element(rec.begin(), rec.end());
    for (std::size_t i = 0; i < rec.size(); ++i)
      ASSERT_NEAR(result.values.values()[i], rec[i], 1e-6F * largest) << i;
    // The search: what it finds is no worse than what the reference found.
    const PowerProblem problem{tensor_limit(ctx, weight.view(), options.fraction),
                               options.per_channel};
    const double theirs = one.at("objective");
    EXPECT_NEAR(power_objective(ctx, weight.view(), problem, alpha), theirs, 1e-6 * theirs);
    const float found = find_power(ctx, weight.view(), problem);
    const double ours = power_objective(ctx, weight.view(), problem, static_cast<double>(found));
    EXPECT_LE(ours, theirs * (1 + 1e-6)) << "alpha " << found << " instead of " << alpha;
    ++ran;
  }
  EXPECT_EQ(ran, 16);
  RecordProperty("cases", ran);
}

/// The variant of another framework: co-sparse per channel, whatever its case says.
TEST(SparseOracle, CoSparseElsewhere) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  const Context ctx(2);
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != "mindspore.quant_one_weight_by_outliers") continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const Tensor weight = test::to_tensor(oracle.input(one.at("inputs").at(0)));
    const OutlierOptions options{one.at("params").at("fraction"), true, 4};
    const Result result(weight.view(), tensor_outliers(ctx, weight.view(), options), 1);
    result.expect_equal(oracle, one, weight);
    ++ran;
  }
  EXPECT_EQ(ran, 4);
}

/// The codes a low-bit case exports: those of the split, but where the case lists another.
std::vector<std::int8_t> exported(Oracle& oracle, const json& one, std::int64_t columns) {
  std::vector<std::int8_t> codes = codes_of(oracle.array(one, "q"));
  const NpyArray& index = oracle.array(one, "export_diff_index");
  const std::vector<std::int8_t> values = codes_of(oracle.array(one, "export_diff_value"));
  const auto place = [&](std::size_t i) {
    if (index.type == "<i8") return index.values<std::int64_t>()[i];
    return static_cast<std::int64_t>(index.values<std::int32_t>()[i]);
  };
  for (std::size_t i = 0; i < values.size(); ++i)
    codes[static_cast<std::size_t>(place(2 * i) * columns + place(2 * i + 1))] = values[i];
  return codes;
}

TEST(SparseOracle, Lowbit) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  const Context ctx(2);
  const Method& method = find_method("lowbit");
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != kLowbit || !one.contains("export")) continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const json& given = one.at("params");
    const Tensor weight = test::to_tensor(oracle.input(one.at("inputs").at(0)));
    const OutlierOptions options = options_of(given);
    const RowRule rule{given.at("use_sigma"), given.value("sigma_factor", 3.0)};
    const Result result(weight.view(), row_outliers(ctx, weight.view(), options, rule), 1);
    result.expect_equal(oracle, one, weight);
    ++ran;
    if (rule.sigma_factor < 3) continue;  // outside of what users may give
    ParamMap params;
    params.set(method.params[0], rule.use_sigma ? "true" : "false", "test");
    params.set(method.params[1], std::to_string(rule.sigma_factor), "test");
    params.set(method.params[2], std::to_string(options.fraction), "test");
    const QuantizedLinear q = method.quantize(
        ctx, {weight.view(), sparse_scheme(options.per_channel), DType::f16, params});
    const std::vector<std::int8_t> codes = exported(oracle, one, q.in);
    const std::vector<float> scales = to_floats(oracle.array(one, "scale"));
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(q.in);
      if (scales[scales.size() == 1 ? 0 : row] == 0) continue;
      ASSERT_EQ(q.codes[i], codes[i]) << "weight " << i;
    }
  }
  EXPECT_EQ(ran, 86);
  RecordProperty("cases", ran);
}

TEST(SparseOracle, ValuesForSmoothing) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  const Context ctx(2);
  int ran = 0;
  for (const json& one : oracle.cases()) {
    const json& given = one.at("params");
    if (one.at("function") != kLowbit || !one.contains("export")) continue;
    if (!one.at("outputs").contains("rec") || one.at("inputs").at(0) == "ties64_f32") continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const Tensor weight = test::to_tensor(oracle.input(one.at("inputs").at(0)));
    Matrix values(weight.shape()[0], weight.shape()[1]);
    values.values() = read_floats(weight.view());
    LowbitOptions options;
    options.per_channel = given.at("per_channel");
    options.use_sigma = given.at("use_sigma");
    options.sigma_factor = given.value("sigma_factor", 3.0);
    options.fraction = given.value("fraction", 0.01);
    fake_quantize_lowbit(ctx, values.view(), options, values.view());
    EXPECT_EQ(values.values(), to_floats(oracle.array(one, "rec")));
    ++ran;
  }
  EXPECT_GT(ran, 40);
  RecordProperty("cases", ran);
}

TEST(SparseOracle, TwoStages) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  const Context ctx(2);
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != kLowbit) continue;
    const json& params = one.at("params");
    if (!params.value("progressive", false)) continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    Scheme scheme;
    scheme.weight_bits = 4;
    scheme.symmetric = params.at("w_sym");
    scheme.granularity = Granularity::group;
    scheme.group_size = params.at("group_size");
    scheme.activations = Activations::dynamic_token;
    scheme.form = CodeForm::two_stage;
    const Tensor weight = test::to_tensor(oracle.input(one.at("inputs").at(0)));
    const QuantizedLinear q =
        find_method("two-stage").quantize(ctx, {weight.view(), scheme, DType::f32, ParamMap{}});
    EXPECT_EQ(q.codes, codes_of(oracle.array(one, "q")));
    EXPECT_EQ(q.row_scales, to_floats(oracle.array(one, "scale1")));
    EXPECT_EQ(q.scales, to_floats(oracle.array(one, "scale2")));
    EXPECT_EQ(q.zeros, to_floats(oracle.array(one, "offset2")));
    ++ran;
    if (!one.at("outputs").contains("rec")) continue;
    Matrix values(q.out, q.in);
    dequantize(ctx, q, values.view());
    EXPECT_EQ(values.values(), to_floats(oracle.array(one, "rec")));
  }
  EXPECT_EQ(ran, 8);
  RecordProperty("cases", ran);
}

TEST(SparseOracle, EveryCaseIsComparedOrNamed) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  int hqq = 0;
  int crashes = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != kLowbit) continue;
    if (one.at("params").value("use_hqq", false)) ++hqq;
    if (one.contains("error")) ++crashes;
  }
  EXPECT_EQ(hqq, 4) << "half-quadratic cases belong to another method";
  EXPECT_EQ(crashes, 12) << "rows too short for the fraction: the reference has no answer";
}

}  // namespace
}  // namespace pare::quant
