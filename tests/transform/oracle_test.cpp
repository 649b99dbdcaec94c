// Smoothing and its search against the vectors of the reference implementation.
#include "support/oracle.h"

#include "transform/alpha_search.h"
#include "transform/smooth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace pare::transform {
namespace {

using nlohmann::json;
using test::Oracle;

/// The reference's weight during the search: outliers beyond 3 deviations of |w| of their row keep
/// the scale of the others and may use 8 bits. Written from the description, apart from the
/// product.
void recover_row_outliers(std::span<float> row, std::vector<bool>& outlier, float& largest) {
  double sum = 0, squares = 0;
  for (const float w : row)
    sum += std::fabs(static_cast<double>(w));
  const double mean = sum / static_cast<double>(row.size());
  for (const float w : row)
    squares += std::pow(std::fabs(static_cast<double>(w)) - mean, 2);
  const float deviation =
      std::sqrt(static_cast<float>(squares / static_cast<double>(row.size() - 1)));
  for (std::size_t i = 0; i < row.size(); ++i) {
    outlier[i] = std::fabs(row[i]) / deviation > 3.0F;
    if (!outlier[i]) largest = std::max(largest, std::fabs(row[i]));
  }
}

void round_row(std::span<float> row, const std::vector<bool>& outlier, float largest) {
  const float inner = largest / 7;
  const float outer = largest * 127 / 7 / 127;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const float scale = outlier[i] ? outer : inner;
    const float end = outlier[i] ? 127.0F : 7.0F;
    row[i] = scale * std::clamp(std::nearbyint(row[i] / scale), -end, end);
  }
}

FakeQuantizeWeight reference_recover(bool per_channel) {
  return [per_channel](const Context&, MatrixView<float> weight) {
    std::vector<std::vector<bool>> outlier(static_cast<std::size_t>(weight.rows));
    std::vector<float> largest(outlier.size(), 0.0F);
    for (std::size_t r = 0; r < outlier.size(); ++r) {
      outlier[r].resize(static_cast<std::size_t>(weight.cols));
      recover_row_outliers(weight.row_span(static_cast<std::int64_t>(r)), outlier[r], largest[r]);
    }
    const float most = *std::max_element(largest.begin(), largest.end());
    for (std::size_t r = 0; r < outlier.size(); ++r) {
      round_row(weight.row_span(static_cast<std::int64_t>(r)), outlier[r],
                per_channel ? largest[r] : most);
    }
  };
}

/// A norm's output as stored in a case, [tokens, D], and the ranges of its channels.
struct Input {
  Matrix x;
  std::vector<float> min, max;

  Input(const std::vector<float>& values, std::int64_t channels)
      : x(static_cast<std::int64_t>(values.size()) / channels, channels) {
    std::copy(values.begin(), values.end(), x.values().begin());
    min.assign(x.view().row(0), x.view().row(0) + channels);
    max = min;
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      for (std::size_t c = 0; c < min.size(); ++c) {
        min[c] = std::min(min[c], x.view().row(t)[c]);
        max[c] = std::max(max[c], x.view().row(t)[c]);
      }
    }
  }

  void subtract(std::span<const float> shift) {
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      for (std::size_t c = 0; c < shift.size(); ++c)
        x.view().row(t)[c] -= shift[c];
    }
  }
};

float searched_alpha(const Context& ctx, Input input, const std::vector<TensorView>& weights,
                     std::span<const float> shift, int intervals, bool per_channel) {
  const std::vector<float> x_max = centred_maxima(input.min, input.max, shift);
  const std::vector<float> w_max = column_maxima(ctx, weights);
  input.subtract(shift);
  const SearchProblem problem{std::as_const(input.x).view(), x_max, w_max, weights, per_channel};
  return search_alpha(ctx, problem, intervals, reference_recover(per_channel));
}

TEST(SmoothOracle, TheSearchFindsTheSameAlpha) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != "lowbit.atomic_omniquant.atomic_search_smoothscale") continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const Tensor weight = test::to_tensor(oracle.array(one, "W"));
    const Input input(test::to_floats(oracle.array(one, "X")), weight.shape()[1]);
    const float alpha =
        searched_alpha(Context(2), input, {weight.view()}, {}, one.at("params").at("intervals"),
                       one.at("params").at("per_channel"));
    EXPECT_EQ(alpha, test::to_floats(oracle.array(one, "alpha")).front());
    ++ran;
  }
  EXPECT_EQ(ran, 6);
}

void expect_close(const std::vector<float>& found, const std::vector<float>& expected,
                  const char* what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  float worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::fabs(found[i] - expected[i]) <= worst) continue;
    worst = std::fabs(found[i] - expected[i]);
    at = i;
  }
  EXPECT_LE(worst, 2.4e-7F) << what << " " << at << ": " << found[at] << ", not " << expected[at];
}

TEST(SmoothOracle, FoldsToTheSameTensors) {
  PARE_SKIP_WITHOUT_ORACLE();
  Oracle oracle;
  const Context ctx(2);
  int ran = 0;
  for (const json& one : oracle.cases()) {
    if (one.at("function") != "lowbit.calibration.smooth") continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const auto tensor = [&](const char* name) { return test::to_tensor(oracle.array(one, name)); };
    const auto floats = [&](const char* name) { return test::to_floats(oracle.array(one, name)); };
    const Tensor w0 = tensor("w0"), w1 = tensor("w1"), bias = tensor("fc0_bias");
    const Tensor norm = tensor("norm_weight");
    const Input input(floats("x"), w0.shape()[1]);
    ChannelMap map;
    map.shift = channel_centres(input.min, input.max);
    const std::vector<TensorView> weights = {w0.view(), w1.view()};
    float alpha = one.at("params").at("default_alpha");
    if (one.at("params").at("search_smooth").get<bool>()) {
      alpha = searched_alpha(ctx, input, weights, map.shift, 10, false);
    }
    EXPECT_EQ(alpha, floats("alpha").front());
    map.scale = smooth_scales(centred_maxima(input.min, input.max, map.shift),
                              column_maxima(ctx, weights), alpha);
    const NormGroup group{
        norm.view(), std::nullopt, {{w0.view(), bias.view()}, {w1.view(), std::nullopt}}};
    const FoldedGroup folded = fold(ctx, group, map);
    expect_close(read_floats(folded.norm_weight.view()), floats("out_norm_weight"), "norm weight");
    expect_close(read_floats(folded.norm_bias->view()), floats("out_norm_bias"), "norm bias");
    expect_close(read_floats(folded.weights[0].view()), floats("out_w0"), "w0");
    expect_close(read_floats(folded.weights[1].view()), floats("out_w1"), "w1");
    expect_close(read_floats(folded.biases[0]->view()), floats("out_bias0"), "bias 0");
    expect_close(read_floats(folded.biases[1]->view()), floats("out_bias1"), "bias 1");
    ++ran;
  }
  EXPECT_EQ(ran, 8);
}

}  // namespace
}  // namespace pare::transform
