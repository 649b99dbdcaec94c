// The examples of docs/HOWTO-add-*.md are in the tables by one file and one line, and do what their
// pages say.
#include "containers/safetensors/writer.h"
#include "core/rng.h"
#include "io/file.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "model/architecture.h"
#include "pare/error.h"
#include "pipeline/open/open_model.h"
#include "pipeline/quantize/quantize.h"
#include "quant/distortion.h"
#include "quant/method.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace pare {
namespace {

namespace fs = std::filesystem;

const fs::path kModels = fs::path(PARE_SOURCE_DIR) / "tests/golden/models";

class HowTo : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("pare-howto-" + std::to_string(getpid()) + "-" + info->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A golden model whose config.json has other keys put in.
  fs::path model_with(const std::string& golden, const io::Json& keys) const {
    const fs::path copy = folder_ / "model";
    fs::copy(kModels / golden, copy);
    io::Json config = io::read_json(copy / "config.json");
    config.update(keys);
    config.erase("architectures");  // model_type alone says which it is
    io::write_text(copy / "config.json", config.dump());
    return copy;
  }

  fs::path folder_;
};

// The architecture.

model::ModelGraph graph_of(const io::Json& json) {
  const model::ConfigReader config(json, "config.json");
  const model::Architecture* arch = model::find_architecture(config);
  if (arch == nullptr) throw Error(ErrorCode::unknown_architecture, "none");
  return arch->read(config);
}

TEST_F(HowTo, ArchitectureHasItsDefaults) {
  const model::ModelGraph graph = graph_of({{"model_type", "seed_oss"}});
  EXPECT_EQ(graph.config.layers, 64);
  EXPECT_EQ(graph.config.attention.heads, 80);
  EXPECT_EQ(graph.config.attention.head_dim, 128);
  EXPECT_TRUE(graph.config.attention.qkv_bias);
  EXPECT_FALSE(graph.config.attention.output_bias);
  EXPECT_EQ(model::find_role(graph.block(63), model::Role::o)->name,
            "model.layers.63.self_attn.o_proj");
}

TEST_F(HowTo, ArchitectureReadsItsOwnKeys) {
  const io::Json json = {{"architectures", {"SeedOssForCausalLM"}},
                         {"attention_bias", false},
                         {"attention_out_bias", true},
                         {"mlp_bias", true}};
  const model::ModelGraph graph = graph_of(json);
  EXPECT_FALSE(graph.config.attention.qkv_bias);
  EXPECT_TRUE(graph.config.attention.output_bias);
  EXPECT_TRUE(graph.config.mlp_bias);
}

TEST_F(HowTo, OtherArchitecturesAreStillThere) {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3"}) {
    EXPECT_NO_THROW(graph_of({{"model_type", type}})) << type;
  }
}

std::vector<float> logits_of(const fs::path& folder, const std::vector<std::int32_t>& ids) {
  const Context ctx(2);
  const pipeline::OpenModel open(folder, kernels::Compute::f32);
  std::vector<model::Batch> batches{model::embed(open.model(), std::span(&ids, 1))};
  model::forward_streamed(ctx, open.model(), batches, {});
  const model::Head head(ctx, open.model());
  Matrix logits(static_cast<std::int64_t>(ids.size()), head.vocab_size());
  head.logits(ctx, std::as_const(batches.front().hidden).view(), logits.view());
  return logits.values();
}

/// The first sequence of a golden model, and the logits that transformers computed for it.
std::pair<std::vector<std::int32_t>, std::vector<float>> golden_logits(const std::string& name,
                                                                       std::size_t vocab) {
  std::ifstream lines(kModels / name / "input_ids.jsonl");
  std::string line;
  std::getline(lines, line);
  const auto ids = io::parse_json(line, name)["input_ids"].get<std::vector<std::int32_t>>();
  const std::string npy = io::read_text(kModels / name / "logits.npy");
  const std::size_t start = npy.find('\n') + 1;  // the header ends with the first newline
  std::vector<float> logits(ids.size() * vocab);
  std::copy_n(npy.data() + start, logits.size() * sizeof(float),
              reinterpret_cast<char*>(logits.data()));
  return {ids, logits};
}

// With biases on q, k and v alone the arithmetic is Qwen2's, for which there are golden logits.
TEST_F(HowTo, ArchitectureComputesWhatTheLibraryComputes) {
  const fs::path model = model_with("qwen2-tied", {{"model_type", "seed_oss"}, {"head_dim", 8}});
  ASSERT_EQ(model::read_graph(model).config.architecture, "seed_oss");
  const auto [ids, expected] = golden_logits("qwen2-tied", 96);
  const std::vector<float> found = logits_of(model, ids);
  ASSERT_EQ(found.size(), expected.size());
  const auto [low, high] = std::minmax_element(expected.begin(), expected.end());
  const float tolerance = 1e-4F * std::max(-*low, *high);
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i], tolerance) << i;
}

// The method.

/// Weights in (-0.1, 0.1), and one of 0.15 in every row.
Tensor weight_with_outliers(std::int64_t out, std::int64_t in) {
  Rng rng(3);
  std::vector<float> values(static_cast<std::size_t>(out * in));
  for (float& v : values)
    v = static_cast<float>(0.1 * (2 * rng.uniform() - 1));
  for (std::int64_t row = 0; row < out; ++row)
    values[static_cast<std::size_t>(row * in)] = 0.15F;
  return store_floats(values, DType::f32, {out, in});
}

float equal_inputs(std::int64_t /*column*/) { return 1; }

quant::QuantizedLinear quantize_with(std::string_view method, const Tensor& weight,
                                     const quant::Scheme& scheme, int threads = 2,
                                     float (*first_input)(std::int64_t) = equal_inputs) {
  const Context ctx(threads);
  Matrix gram(weight.shape()[1], weight.shape()[1]);
  for (std::int64_t i = 0; i < gram.rows(); ++i)
    gram.view().row(i)[i] = first_input(i);
  const quant::InputStats stats{std::as_const(gram).view(), 1};
  return quant::find_method(method).quantize(
      ctx, {weight.view(), scheme, DType::f32, ParamMap{}, &stats});
}

constexpr quant::Scheme kW4 = {.weight_bits = 4};
constexpr quant::Scheme kW4G32 = {
    .weight_bits = 4, .granularity = quant::Granularity::group, .group_size = 32};

TEST_F(HowTo, MethodGivesCodesOfTheScheme) {
  const Tensor weight = weight_with_outliers(6, 64);
  for (const quant::Scheme& scheme : {kW4, kW4G32, quant::Scheme{}}) {
    const quant::QuantizedLinear q = quantize_with("mse_clip", weight, scheme);
    ASSERT_EQ(q.codes.size(), 6U * 64U);
    ASSERT_EQ(q.scales.size(), static_cast<std::size_t>(6 * scheme.groups(64)));
    EXPECT_EQ(q.scheme, scheme);
    for (const std::int8_t code : q.codes)
      ASSERT_LE(std::abs(code), scheme.qmax());
    for (const float scale : q.scales)
      ASSERT_GT(scale, 0);
    EXPECT_EQ(q.zeros, std::vector<float>(q.scales.size()));
  }
}

TEST_F(HowTo, MethodIsNeverWorseThanPlainRoundingAndBetterWithOutliers) {
  const Context ctx(2);
  const Tensor weight = weight_with_outliers(6, 64);
  const auto noise = [&](std::string_view method, const quant::Scheme& scheme) {
    return quant::weight_distortion(ctx, weight.view(), quantize_with(method, weight, scheme))
        .noise;
  };
  EXPECT_LE(noise("mse_clip", quant::Scheme{}), noise("minmax", quant::Scheme{}));
  EXPECT_LE(noise("mse_clip", kW4G32), noise("minmax", kW4G32));
  EXPECT_LT(noise("mse_clip", kW4), noise("minmax", kW4));
}

// One row of 7 and 0.4: with a scale of 1 the small one becomes 0. When nothing but its input ever
// moves, the range that rounds it best wins, and the 7 is clipped.
TEST_F(HowTo, MethodLooksAtWhatTheLinearReads) {
  const Tensor weight = store_floats(std::vector<float>{7, 0.4F}, DType::f32, {1, 2});
  const quant::QuantizedLinear alike = quantize_with("mse_clip", weight, kW4);
  EXPECT_EQ(alike.scales, std::vector<float>{1});
  const quant::QuantizedLinear second = quantize_with(
      "mse_clip", weight, kW4, 1, [](std::int64_t column) { return column == 0 ? 0.0F : 1.0F; });
  const float found = static_cast<float>(second.codes[1]) * second.scales[0];
  EXPECT_LT(std::abs(found - 0.4F), 0.2F);
  EXPECT_LT(second.scales[0], 1);
}

// One row of 7, 1, -1: clipping 7 to less would cost more than it gains, so the scale is 7 / 7.
TEST_F(HowTo, MethodKeepsTheWholeRangeWhereItIsBest) {
  const std::vector<float> values = {7, 1, -1, 0};
  const Tensor weight = store_floats(values, DType::f32, {1, 4});
  const quant::QuantizedLinear q = quantize_with("mse_clip", weight, kW4);
  EXPECT_EQ(q.scales, std::vector<float>{1});
  EXPECT_EQ(q.codes, (std::vector<std::int8_t>{7, 1, -1, 0}));
}

TEST_F(HowTo, MethodTreatsZerosAndRefusesNan) {
  const Tensor zeros(DType::f32, {2, 32});
  const quant::QuantizedLinear q = quantize_with("mse_clip", zeros, kW4);
  EXPECT_EQ(q.scales, (std::vector<float>{1, 1}));
  EXPECT_EQ(q.codes, std::vector<std::int8_t>(64));
  std::vector<float> values(64);
  values[40] = std::numeric_limits<float>::quiet_NaN();
  const Tensor nan = Tensor::from<float>(DType::f32, {2, 32}, values);
  try {
    quantize_with("mse_clip", nan, kW4);
    ADD_FAILURE() << "NaN was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_finite);
  }
}

TEST_F(HowTo, MethodGivesTheSameForAnyThreadCount) {
  const Tensor weight = weight_with_outliers(37, 64);
  const quant::QuantizedLinear one = quantize_with("mse_clip", weight, kW4G32, 1);
  const quant::QuantizedLinear seven = quantize_with("mse_clip", weight, kW4G32, 7);
  EXPECT_EQ(one.codes, seven.codes);
  EXPECT_EQ(one.scales, seven.scales);
}

TEST_F(HowTo, MethodsParameterIsAJobsParameter) {
  const auto specs = pipeline::recipe_params();
  EXPECT_TRUE(std::any_of(specs.begin(), specs.end(),
                          [](const ParamSpec& s) { return s.name == "clip_steps"; }));
}

// The layout, and all three together.

struct Option {
  const char* name;
  const char* value;
};

Job job_for(const fs::path& model, const fs::path& out, const std::vector<Option>& options) {
  Job job{.model = model, .out = out};
  for (const Option& option : options) {
    const auto specs = pipeline::recipe_params();
    const auto spec = std::find_if(specs.begin(), specs.end(),
                                   [&](const ParamSpec& s) { return s.name == option.name; });
    if (spec == specs.end()) throw Error(ErrorCode::bad_usage, option.name);
    job.params.set(*spec, option.value, "the test");
  }
  job.params.fill_defaults(pipeline::recipe_params());
  return job;
}

/// Token ids that the golden model was run with.
std::string calib(const std::string& model) {
  return (kModels / model / "input_ids.jsonl").string();
}

TEST_F(HowTo, MethodThatNeedsInputsAsksForDataAndPlansItsMemory) {
  auto job = job_for(kModels / "llama-mha", folder_ / "out",
                     {{"scheme", "w4a16"}, {"method", "mse_clip"}});
  try {
    pipeline::make_plan(Context(1), job);
    ADD_FAILURE() << "planned without data";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::calibration_needed);
  }
  const std::string data = calib("llama-mha");
  const auto with = [&](const char* method) {
    return pipeline::make_plan(
               Context(1),
               job_for(kModels / "llama-mha", folder_ / "out",
                       {{"scheme", "w4a16"}, {"method", method}, {"calib", data.c_str()}}))
        .memory;
  };
  EXPECT_EQ(with("minmax").gram, 0U);
  EXPECT_GT(with("mse_clip").gram, 0U);
  EXPECT_EQ(with("minmax").gram, 0U);
  EXPECT_GT(with("mse_clip").gram, 0U);
  EXPECT_GE(with("mse_clip").total(), with("minmax").total());
}

TEST_F(HowTo, TransformKeepsTheModelAndIsWrittenOnce) {
  const std::string data = calib("llama-mha");
  const auto run = [&](const char* name, const std::vector<Option>& more) {
    std::vector<Option> options = {{"scheme", "w8a8"}, {"calib", data.c_str()}, {"compute", "f32"}};
    options.insert(options.end(), more.begin(), more.end());
    const Context ctx(2);
    const pipeline::Plan plan =
        pipeline::make_plan(ctx, job_for(kModels / "llama-mha", folder_ / name, options));
    return pipeline::run_plan(ctx, plan).transformed;
  };
  EXPECT_TRUE(run("plain", {}).empty());
  const auto transformed = run("halved", {{"do_halve", "true"}});
  const auto layers = model::read_graph(kModels / "llama-mha").config.layers;
  EXPECT_EQ(transformed.size(), static_cast<std::size_t>(2 * layers));
  const auto files = layout::find_layout("ascend").open(folder_ / "halved");
  const auto plain = layout::find_layout("ascend").open(folder_ / "plain");
  bool changed = false;
  for (const auto& group : transformed) {
    const std::vector<float> before = read_floats(*plain->tensor(group.producer + ".weight"));
    const std::vector<float> after = read_floats(*files->tensor(group.producer + ".weight"));
    for (std::size_t c = 0; c < before.size(); ++c) {
      const float factor = before[c] / after[c];
      EXPECT_EQ(std::exp2(std::round(std::log2(factor))), factor);
      EXPECT_LE(factor, group.strength);
      changed = changed || factor > 1;
    }
  }
  EXPECT_TRUE(changed);
}

TEST_F(HowTo, TransformRefusesWhatItIsNotFor) {
  const auto job =
      job_for(kModels / "llama-mha", folder_ / "out", {{"scheme", "w8a16"}, {"do_halve", "true"}});
  EXPECT_THROW(pipeline::make_plan(Context(1), job), Error);
}

TEST_F(HowTo, LayoutReadsBackWhatItWrote) {
  const Context ctx(2);
  const auto job = job_for(kModels / "llama-mqa-bias", folder_ / "out",
                           {{"scheme", "w8a16"}, {"format", "plain"}});
  const pipeline::Plan plan = pipeline::make_plan(ctx, job);
  const pipeline::QuantizeResult result = pipeline::run_plan(ctx, plan);  // verifies by itself
  EXPECT_EQ(result.run.outputs.front().files, std::vector<std::string>{"plain.safetensors"});

  const layout::Layout* layout = layout::layout_of(folder_ / "out");
  ASSERT_NE(layout, nullptr);
  EXPECT_EQ(layout->id, "plain");
  const auto files = layout->open(folder_ / "out");
  ASSERT_EQ(files->linears().size(), plan.linears.quantized_count());
  for (const pipeline::LinearRecord& meant : result.run.linears) {
    const auto stored = files->linear(meant.name);
    ASSERT_TRUE(stored.has_value()) << meant.name;
    const quant::QuantizedLinear q =
        quant::find_method("minmax").quantize(ctx, {plan.source->read(meant.name + ".weight"),
                                                    plan.spec.scheme,
                                                    stored->linear.scale_dtype,
                                                    {}});
    EXPECT_EQ(stored->linear.codes, q.codes) << meant.name;
    EXPECT_EQ(stored->linear.scales, q.scales) << meant.name;
    EXPECT_EQ(stored->linear.zeros, q.zeros) << meant.name;
    EXPECT_EQ(stored->linear.scheme, q.scheme) << meant.name;
    EXPECT_EQ(stored->effective_bias, read_floats(plan.source->read(meant.name + ".bias")));
  }
  EXPECT_FALSE(files->tensor("model.layers.0.self_attn.q_proj.codes").has_value());
  EXPECT_TRUE(files->tensor("model.norm.weight").has_value());
}

// At 4 bits the best range leaves weights outside; the check after writing must allow that.
TEST_F(HowTo, MethodsClippedWeightsPassTheCheckAfterWriting) {
  const Context ctx(2);
  const auto job = job_for(kModels / "llama-mha", folder_ / "out",
                           {{"scheme", "w4a16"},
                            {"method", "mse_clip"},
                            {"clip_steps", "8"},
                            {"calib", calib("llama-mha").c_str()}});
  const pipeline::QuantizeResult result = pipeline::run_plan(ctx, pipeline::make_plan(ctx, job));
  const auto files = layout::find_layout("ascend").open(folder_ / "out");
  bool clipped = false;
  for (const pipeline::LinearRecord& linear : result.run.linears) {
    const std::vector<float> scales = files->linear(linear.name)->linear.scales;
    const float step = *std::max_element(scales.begin(), scales.end());
    clipped = clipped || linear.weight.max_abs_error > 0.6 * static_cast<double>(step);
  }
  EXPECT_TRUE(clipped);
}

TEST_F(HowTo, LayoutRefusesActivationsInThePlan) {
  const auto job = job_for(kModels / "llama-mha", folder_ / "out",
                           {{"scheme", "w8a8-dynamic"}, {"format", "plain"}});
  try {
    pipeline::make_plan(Context(1), job);
    ADD_FAILURE() << "w8a8-dynamic was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::scheme_not_supported);
    EXPECT_NE(std::string(error.what()).find("the plain layout holds w8a16"), std::string::npos);
  }
}

/// A file with codes [2, 3] and that many scales, opened.
std::unique_ptr<layout::QuantizedCheckpoint> plain_with_scales(const fs::path& folder,
                                                               std::int64_t scales) {
  fs::create_directories(folder);
  containers::SafetensorsWriter file(
      {folder, "plain", std::nullopt, 0640},
      {{"m.codes", DType::i8, {2, 3}}, {"m.scales", DType::f32, {scales}}});
  file.write("m.codes", Tensor(DType::i8, {2, 3}).view());
  file.write("m.scales", Tensor(DType::f32, {scales}).view());
  file.finish();
  return layout::find_layout("plain").open(folder);
}

TEST_F(HowTo, LayoutRefusesScalesThatDoNotFitTheCodes) {
  EXPECT_TRUE(plain_with_scales(folder_ / "two", 2)->linear("m").has_value());
  const auto three = plain_with_scales(folder_ / "three", 3);
  EXPECT_THROW(three->linear("m"), Error);
}

TEST_F(HowTo, AllThreeTogetherMakeAModelThatRuns) {
  const Context ctx(2);
  const fs::path model = model_with("qwen2-tied", {{"model_type", "seed_oss"}, {"head_dim", 8}});
  const auto job = job_for(model, folder_ / "out",
                           {{"scheme", "w8a16"},
                            {"method", "mse_clip"},
                            {"clip_steps", "8"},
                            {"format", "plain"},
                            {"calib", calib("qwen2-tied").c_str()}});
  pipeline::run_plan(ctx, pipeline::make_plan(ctx, job));
  const pipeline::OpenModel open(folder_ / "out", kernels::Compute::f32);
  EXPECT_EQ(open.kind(), "plain");
  EXPECT_EQ(open.graph().config.architecture, "seed_oss");
  const std::vector<float> before = logits_of(model, {1, 5, 9, 2});
  const std::vector<float> after = logits_of(folder_ / "out", {1, 5, 9, 2});
  quant::Distortion distortion;
  distortion.add(before, after);
  EXPECT_GT(distortion.sqnr_db(), 30);  // 8 bits: about 50 dB for a weight, less through blocks
  EXPECT_LT(distortion.sqnr_db(), 70);  // and not the float model
}

}  // namespace
}  // namespace pare
