// Small quantized models with made-up numbers, and a folder to write them to: for the tests of
// layouts.
#pragma once

#include "core/rng.h"
#include "layouts/checked_writer.h"
#include "layouts/layout.h"
#include "io/file.h"
#include "io/json.h"
#include "quant/named_schemes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pare::test {

/// A folder of its own that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pare-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

inline unsigned mode_of(const std::filesystem::path& path) {
  return static_cast<unsigned>(std::filesystem::status(path).permissions());
}

inline float between(Rng& rng, double low, double high) {
  return static_cast<float>(low + rng.uniform() * (high - low));
}

inline Tensor float_tensor(Rng& rng, DType dtype, Shape shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& value : values)
    value = between(rng, -1, 1);
  return store_floats(values, dtype, std::move(shape));
}

/// A linear with random codes over the whole range; every number is exact in `dtype`. No zero is
/// the lowest code: one of the layouts has no place for that.
inline quant::QuantizedLinear made_up_linear(Rng& rng, const std::string& name,
                                             const quant::Scheme& scheme, std::int64_t out,
                                             std::int64_t in, DType dtype, bool bias) {
  quant::QuantizedLinear q;
  q.name = name;
  q.scheme = scheme;
  q.out = out;
  q.in = in;
  q.scale_dtype = scheme.form == quant::CodeForm::uniform ? dtype : DType::f32;
  const auto range = static_cast<std::uint64_t>(scheme.qmax() - scheme.qmin() + 1);
  const auto code = [&] { return scheme.qmin() + static_cast<int>(rng.next() % range); };
  q.codes.resize(static_cast<std::size_t>(out * in));
  for (std::int8_t& c : q.codes)
    c = static_cast<std::int8_t>(code());
  const bool one_scale = scheme.granularity == quant::Granularity::tensor;
  q.scales.resize(one_scale ? 1 : static_cast<std::size_t>(out * scheme.groups(in)));
  const bool two_stage = scheme.form == quant::CodeForm::two_stage;
  for (float& scale : q.scales) {
    scale = two_stage ? static_cast<float>(1 + rng.next() % 17)
                      : round_through(between(rng, 0.001, 0.05), q.scale_dtype);
  }
  q.row_scales.resize(two_stage ? static_cast<std::size_t>(out) : 0);
  for (float& scale : q.row_scales)
    scale = round_through(between(rng, 0.0001, 0.005), q.scale_dtype);
  q.zeros.resize(q.scales.size());
  for (float& zero : q.zeros)
    zero = scheme.symmetric ? 0.0F : static_cast<float>(std::max(code(), scheme.qmin() + 1));
  if (!scheme.symmetric) q.zeros.back() = 3;  // so that reading back finds it asymmetric
  if (bias) q.bias = float_tensor(rng, dtype, {out});
  if (scheme.activations == quant::Activations::static_tensor) {
    q.input = quant::ActivationParams{round_through(between(rng, 0.01, 0.03), dtype), -17, dtype};
  }
  return q;
}

/// A model of three quantized linears, one of them with a bias, between float tensors.
struct MadeUpModel {
  layout::OutputPlan plan;
  std::map<std::string, quant::QuantizedLinear> linears;
  std::map<std::string, Tensor> tensors;
  std::shared_ptr<TemporaryFolder> source;  // plan.source, when config.json describes the model

  void add_tensor(const std::string& name, Tensor tensor) {
    plan.entries.push_back(
        {.linear = std::nullopt,
         .tensor = {.name = name, .dtype = tensor.dtype(), .shape = tensor.shape()}});
    tensors[name] = std::move(tensor);
  }

  void add_linear(quant::QuantizedLinear q) {
    quant::describe_parts(q);
    q.symmetric_input = false;  // a plan does not know zero points
    q.row_parallel = q.name.ends_with("o_proj");
    plan.entries.push_back({.linear = q.header(), .tensor = {}});
    linears[q.name] = std::move(q);
  }
};

/// Sizes of two of the linears, and the type of scales and biases where layouts ask for one.
struct MadeUpOptions {
  std::int64_t q_out = 6;
  std::int64_t up_out = 2;
  std::optional<DType> linear_dtype = std::nullopt;
};

inline MadeUpModel made_up_model(const quant::Scheme& scheme, DType dtype,
                                 const MadeUpOptions& options = {}) {
  const DType of_linears = options.linear_dtype.value_or(dtype);
  Rng rng(7);
  MadeUpModel model;
  model.plan.scheme_tag = quant::scheme_tag_of(scheme);
  model.plan.model_dtype = dtype;
  model.plan.group_size = scheme.group_size;
  const std::string block = "model.layers.0.";
  model.add_tensor("model.embed_tokens.weight", float_tensor(rng, dtype, {10, 64}));
  model.add_linear(made_up_linear(rng, block + "self_attn.q_proj", scheme, options.q_out, 64,
                                  of_linears, true));
  model.add_linear(
      made_up_linear(rng, block + "self_attn.o_proj", scheme, 64, 64, of_linears, false));
  model.add_linear(made_up_linear(rng, block + "mlp.up_proj", scheme, options.up_out, 128,
                                  of_linears, false));
  model.add_tensor(block + "input_layernorm.weight", float_tensor(rng, dtype, {64}));
  model.add_tensor(block + "mlp.kept.weight", float_tensor(rng, dtype, {4, 6}));
  model.add_tensor(block + "mlp.kept.bias", float_tensor(rng, dtype, {4}));
  model.add_tensor("model.norm.weight", float_tensor(rng, dtype, {64}));
  return model;
}

inline ParamMap defaults_of(const layout::Layout& layout) {
  ParamMap params;
  params.fill_defaults(layout.params);
  return params;
}

/// config.json as the layout asks for it; layouts that are told by it cannot be read without.
inline void write_config(const layout::Layout& layout, const layout::OutputPlan& plan,
                         const std::filesystem::path& folder) {
  io::Json config = io::Json::object();
  if (!plan.source.empty()) config = io::read_json(plan.source / "config.json");
  if (layout.config_patch != nullptr) {
    const io::Json patch = io::parse_json(layout.config_patch(plan), "config patch");
    for (const auto& [key, value] : patch.items()) config[key] = value;
  }
  io::write_text(folder / "config.json", config.dump(2));
}

/// Writes a model, its linears last, and returns the names of the files (config.json left out).
inline std::vector<std::string> write_model(const layout::Layout& layout,
                                            const MadeUpModel& model,
                                            const std::filesystem::path& folder,
                                            const ParamMap& params) {
  layout::OutputPlan plan = model.plan;
  plan.layout = &layout;
  layout::CheckedWriter writer(plan, folder, params);
  for (const auto& [name, tensor] : model.tensors)
    writer.put_tensor(name, tensor.view());
  for (const auto& [name, linear] : model.linears)
    writer.put_linear(linear);
  write_config(layout, model.plan, folder);
  return writer.finish();
}

inline std::vector<std::byte> bytes_of(const TensorView& view) {
  return {view.data.begin(), view.data.end()};
}

/// Sparse linears keep their scales in products with the input scale, whose bits come back.
inline void expect_same_scales(const quant::QuantizedLinear& meant,
                               const quant::QuantizedLinear& found) {
  if (meant.scheme.form != quant::CodeForm::outliers) {
    EXPECT_EQ(found.scales, meant.scales);
    return;
  }
  ASSERT_EQ(found.scales.size(), meant.scales.size());
  for (std::size_t i = 0; i < meant.scales.size(); ++i) {
    EXPECT_FLOAT_EQ(found.scales[i], meant.scales[i]) << i;
    EXPECT_EQ(found.input->scale * found.scales[i], meant.input->scale * meant.scales[i]) << i;
  }
}

/// Everything that decides what a linear computes. `widened`: bf16 came back as f32.
inline void expect_same_linear(const quant::QuantizedLinear& meant,
                               const quant::QuantizedLinear& found, bool widened) {
  EXPECT_EQ(found.name, meant.name);
  EXPECT_EQ(found.scheme, meant.scheme) << found.scheme.text() << " for " << meant.scheme.text();
  EXPECT_EQ(found.out, meant.out);
  EXPECT_EQ(found.in, meant.in);
  EXPECT_EQ(found.codes, meant.codes);
  expect_same_scales(meant, found);
  EXPECT_EQ(found.zeros, meant.zeros);
  EXPECT_EQ(found.row_scales, meant.row_scales);
  EXPECT_EQ(found.group_index, meant.group_index);
  EXPECT_EQ(found.exponent, meant.exponent);
  EXPECT_EQ(found.scale_dtype, widened ? DType::f32 : meant.scale_dtype);
  ASSERT_EQ(found.bias.has_value(), meant.bias.has_value());
  if (meant.bias.has_value()) {
    EXPECT_EQ(read_floats(found.bias->view()), read_floats(meant.bias->view()));
  }
  ASSERT_EQ(found.input.has_value(), meant.input.has_value());
  if (!meant.input.has_value()) return;
  EXPECT_EQ(found.input->scale, meant.input->scale);
  EXPECT_EQ(found.input->zero_point, meant.input->zero_point);
}

}  // namespace pare::test
