// What every architecture must do: describe itself, read a config and refuse one that cannot be,
// name the tensors of its checkpoints and no other, and compute with each of them.
#include "io/json.h"
#include "model/architecture.h"
#include "model/transformer.h"
#include "pare/error.h"
#include "support/expect_error.h"
#include "support/memory_source.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>

namespace pare::model {
namespace {

namespace fs = std::filesystem;
using pare::testing::MemorySource;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::array kSizes = {
    "vocab_size",          "hidden_size",         "intermediate_size",      "num_hidden_layers",
    "num_attention_heads", "num_key_value_heads", "max_position_embeddings"};

/// Six heads of 8 on a width of 32: what mixes the two up does not fit.
io::Json small_config(const Architecture& arch) {
  return {{"model_type", arch.id},
          {"architectures", {arch.class_names.front()}},
          {"vocab_size", 50},
          {"hidden_size", 32},
          {"intermediate_size", 40},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 6},
          {"num_key_value_heads", 2},
          {"head_dim", 8},
          {"max_position_embeddings", 64}};
}

ModelGraph graph_of(const io::Json& config) {
  const test::TempDir folder;
  test::put_file(folder / "config.json", config.dump());
  return read_graph(folder.path());
}

std::vector<fs::path> golden_models(const Architecture& arch) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(PARE_SOURCE_DIR "/tests/golden/models")) {
    if (!entry.is_directory()) continue;
    if (read_graph(entry.path()).config.architecture == arch.id) folders.push_back(entry.path());
  }
  return folders;
}

/// Names, types and shapes of a checkpoint; the values are zeros.
std::unique_ptr<MemorySource> outline_of(const fs::path& checkpoint) {
  auto outline = std::make_unique<MemorySource>();
  const auto source = containers::open_checkpoint(checkpoint);
  for (const containers::TensorInfo& info : source->tensors())
    outline->put(info.name, Tensor(info.dtype, info.shape));
  return outline;
}

std::vector<std::string> names_of(const containers::TensorSource& source) {
  std::vector<std::string> names;
  for (const containers::TensorInfo& info : source.tensors())
    names.push_back(info.name);
  return names;
}

/// Logits of every token of two sequences.
std::vector<float> logits_of(const ModelGraph& graph, const MemorySource& source, int threads) {
  const Context ctx(threads);
  const FloatWeights weights(source);
  const Model model{&graph, &weights, kernels::Compute::f32};
  const std::vector<std::vector<std::int32_t>> sequences = {{3, 1, 4, 1, 5, 9, 2, 6}, {49, 0, 7}};
  std::vector<Batch> batches{embed(model, sequences)};
  forward_streamed(ctx, model, batches, {});
  const Head head(ctx, model);
  const Matrix& hidden = batches.front().hidden;
  Matrix logits(hidden.rows(), head.vocab_size());
  head.logits(ctx, hidden.view(), logits.view());
  return logits.values();
}

class EveryArchitecture : public ::testing::TestWithParam<const Architecture*> {
 protected:
  const Architecture& arch() const { return *GetParam(); }
  io::Json config() const { return small_config(arch()); }

  /// The small config with one key changed is refused.
  void expect_refused(ErrorCode code, const std::string& key, const io::Json& value) const {
    io::Json changed = config();
    changed[key] = value;
    SCOPED_TRACE(key + ": " + value.dump());
    const std::string text = test::error_text(code, [&] { graph_of(changed); });
    EXPECT_THAT(text, ::testing::HasSubstr("config.json"));
  }
};

INSTANTIATE_TEST_SUITE_P(All, EveryArchitecture,
                         ::testing::ValuesIn(architectures().begin(), architectures().end()),
                         [](const auto& arch) {
                           std::string name(arch.param->id);
                           for (char& c : name)
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           return name;
                         });

TEST(Architectures, DescribeThemselves) {
  std::set<std::string_view> ids;
  std::set<std::string_view> classes;
  for (const Architecture* arch : architectures()) {
    EXPECT_TRUE(ids.insert(arch->id).second) << arch->id << " is there twice";
    EXPECT_EQ(find_architecture(arch->id), arch);
    EXPECT_GT(arch->summary.size(), 10U) << arch->id;
    EXPECT_FALSE(arch->summary.ends_with('.')) << arch->id;
    EXPECT_FALSE(arch->class_names.empty()) << arch->id;
    for (const std::string_view name : arch->class_names)
      EXPECT_TRUE(classes.insert(name).second) << name << " belongs to two architectures";
  }
  EXPECT_EQ(find_architecture("no_such"), nullptr);
}

TEST_P(EveryArchitecture, AnswersToItsTypeAndToItsClasses) {
  io::Json typed = config();
  typed.erase("architectures");
  EXPECT_EQ(graph_of(typed).config.architecture, arch().id);
  for (const std::string_view name : arch().class_names) {
    io::Json classed = config();
    classed.erase("model_type");
    classed["architectures"] = {name};
    const ModelGraph graph = graph_of(classed);
    EXPECT_EQ(graph.config.architecture, arch().id);
    EXPECT_EQ(graph.config.class_name, name);
  }
}

TEST_P(EveryArchitecture, TakesItsSizesFromTheConfig) {
  const ModelConfig c = graph_of(config()).config;
  EXPECT_EQ(c.vocab_size, 50);
  EXPECT_EQ(c.hidden_size, 32);
  EXPECT_EQ(c.intermediate_size, 40);
  EXPECT_EQ(c.layers, 2);
  EXPECT_EQ(c.attention.heads, 6);
  EXPECT_EQ(c.attention.kv_heads, 2);
  EXPECT_EQ(c.attention.head_dim, 8);
  EXPECT_EQ(c.max_positions, 64);
  EXPECT_EQ(c.windows.size(), 2U);
}

TEST_P(EveryArchitecture, HasDefaultsForASilentConfig) {
  const ModelConfig c = graph_of({{"model_type", arch().id}}).config;
  EXPECT_GE(c.hidden_size, 1024) << "the class's own default is that of a real model";
  EXPECT_EQ(c.attention.heads % c.attention.kv_heads, 0);
}

TEST_P(EveryArchitecture, RefusesValuesThatAreNoSizes) {
  for (const char* key : kSizes) {
    for (const io::Json& value : {io::Json(0), io::Json(-1), io::Json("many"), io::Json(true),
                                  io::Json::array({32}), io::Json(1e30)}) {
      expect_refused(ErrorCode::bad_config, key, value);
    }
  }
}

TEST_P(EveryArchitecture, RefusesSizesThatDoNotFitTogether) {
  expect_refused(ErrorCode::bad_config, "num_key_value_heads", 4);
  expect_refused(ErrorCode::bad_config, "head_dim", 7);
  expect_refused(ErrorCode::bad_config, "num_hidden_layers", 1000000);
}

TEST_P(EveryArchitecture, RefusesWhatItDoesNotCompute) {
  expect_refused(ErrorCode::feature_not_supported, "hidden_act", "no_such");
  expect_refused(ErrorCode::feature_not_supported, "rope_scaling", {{"rope_type", "no_such"}});
}

TEST_P(EveryArchitecture, PassesOverKeysThatChangeNothing) {
  io::Json more = config();
  more["transformers_version"] = "4.40.0";
  more["use_cache"] = true;
  more["no_such_key"] = {{"a", {1, 2}}};
  EXPECT_EQ(names_of(*pare::testing::random_weights(graph_of(more), 1)),
            names_of(*pare::testing::random_weights(graph_of(config()), 1)));
}

TEST_P(EveryArchitecture, NamesEveryTensorOfItsGoldenModelsAndNoOther) {
  const std::vector<fs::path> folders = golden_models(arch());
  ASSERT_THAT(folders, Not(IsEmpty())) << "make one with tests/golden/generate/make_models.py";
  for (const fs::path& folder : folders) {
    SCOPED_TRACE(folder.filename());
    const ModelGraph graph = read_graph(folder);
    const auto complete = outline_of(folder);
    EXPECT_NO_THROW(check_tensors(graph, *complete));
    for (const std::string& name : names_of(*complete)) {
      SCOPED_TRACE(name);
      const auto changed = outline_of(folder);
      const std::int64_t count = changed->at(name).shape().numel();
      changed->put(name, Tensor(DType::f32, {count + 1}));
      PARE_ERROR_TEXT(tensor_mismatch, check_tensors(graph, *changed));
      changed->remove(name);
      PARE_ERROR_TEXT(tensor_missing, check_tensors(graph, *changed));
    }
    complete->put("model.layers.0.no_such.weight", Tensor(DType::f32, {32}));
    PARE_ERROR_TEXT(bad_config, check_tensors(graph, *complete));
  }
}

TEST_P(EveryArchitecture, GivesTheSameFiniteLogitsOnAnyNumberOfThreads) {
  const ModelGraph graph = graph_of(config());
  const auto source = pare::testing::random_weights(graph, 11);
  EXPECT_NO_THROW(check_tensors(graph, *source));
  const std::vector<float> one = logits_of(graph, *source, 1);
  ASSERT_EQ(one.size(), 11U * 50U);
  EXPECT_THAT(one, Not(Contains(::testing::Truly([](float v) { return !std::isfinite(v); }))));
  EXPECT_EQ(one, logits_of(graph, *source, 7));
}

TEST_P(EveryArchitecture, ComputesWithEveryTensor) {
  const ModelGraph graph = graph_of(config());
  const auto source = pare::testing::random_weights(graph, 12);
  const std::vector<float> before = logits_of(graph, *source, 1);
  for (const std::string& name : names_of(*source)) {
    const auto changed = pare::testing::random_weights(graph, 12);
    Rng rng(13);
    changed->put(name, pare::testing::random_tensor(rng, source->at(name).shape(), 0.5, 0.7));
    EXPECT_NE(before, logits_of(graph, *changed, 1)) << name << " has no effect";
  }
}

}  // namespace
}  // namespace pare::model
