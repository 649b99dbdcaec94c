// The words of a job: levels, sizes, patterns, recipes.
#include "pipeline/quantize/job.h"

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <gtest/gtest.h>

#include "pare/error.h"
#include "pare/job.h"
#include "pipeline/open/linear_selection.h"
#include "pipeline/quantize/recipe.h"

namespace pare::pipeline {
namespace {

TEST(Level, CountsOnlyCanonicalNumbers) {
  EXPECT_EQ(parse_level("L0"), 0U);
  EXPECT_EQ(parse_level("L12"), 12U);
  for (const char* wrong : {"", "L", "5", "L05", "L-1", "L1x", "l3", "L00"}) {
    EXPECT_THROW(parse_level(wrong), Error) << wrong;
  }
}

TEST(Bytes, UnitsAreBinary) {
  EXPECT_EQ(parse_bytes("8GiB"), std::size_t{8} << 30);
  EXPECT_EQ(parse_bytes("512 MiB"), std::size_t{512} << 20);
  EXPECT_EQ(parse_bytes("1.5G"), std::size_t{3} << 29);
  EXPECT_EQ(parse_bytes("1000"), 1000U);
  for (const char* wrong : {"", "GiB", "-1", "0", "3 parsecs", "nan"}) {
    EXPECT_THROW(parse_bytes(wrong), Error) << wrong;
  }
}

TEST(Pattern, StarsAndQuestionMarks) {
  EXPECT_TRUE(matches_pattern("a.b", "a.b"));
  EXPECT_FALSE(matches_pattern("a.b", "axb"));
  EXPECT_TRUE(matches_pattern("*.down_proj", "model.layers.3.mlp.down_proj"));
  EXPECT_FALSE(matches_pattern("*.down_proj", "model.layers.3.mlp.down_proj2"));
  EXPECT_TRUE(matches_pattern("*layers.?.mlp*", "model.layers.3.mlp.up_proj"));
  EXPECT_FALSE(matches_pattern("*layers.?.mlp*", "model.layers.13.mlp.up_proj"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a*a*a", "aXaaYa"));
  EXPECT_TRUE(matches_pattern("*a*b", "aaab"));
  EXPECT_FALSE(matches_pattern("*a*bc*", "aab"));
}

model::Module linear(const char* name, std::optional<model::Site> site = std::nullopt) {
  model::Module module;
  module.name = name;
  module.block = 2;
  module.shape = {4, 4};
  module.site = site;
  return module;
}

TEST(Keep, APatternThatMatchesNothingSuggestsOne) {
  LinearSelection linears({linear("model.layers.0.mlp.down_proj"), linear("lm_head")});
  keep_by_pattern(linears, {"*.mlp.*"});
  EXPECT_EQ(linears.kept_because("model.layers.0.mlp.down_proj"), "disable_names \"*.mlp.*\"");
  EXPECT_EQ(linears.kept_because("lm_head"), "");
  EXPECT_EQ(linears.quantized_count(), 1U);
  EXPECT_EQ(linears.quantized_weights(), 16);
  try {
    keep_by_pattern(linears, {"model.layer.*.down_prj"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::pattern_matches_nothing);
    EXPECT_EQ(error.hint(), "did you mean \"model.layers.*.mlp.down_proj\" (1 matches)?");
  }
}

TEST(SplitFusions, OnlyHalfKeptSetsAreNamed) {
  using model::Site;
  LinearSelection linears({linear("a.q_proj", Site::attention_input),
                           linear("a.k_proj", Site::attention_input),
                           linear("a.v_proj", Site::attention_input),
                           linear("a.gate_proj", Site::mlp_input),
                           linear("a.up_proj", Site::mlp_input),
                           linear("a.down_proj", Site::mlp_hidden)});
  linears.keep("a.q_proj", "level");
  linears.keep("a.down_proj", "x");
  EXPECT_EQ(split_fusions(linears),
            std::vector<std::string>{
                "block 2: k_proj and v_proj quantized, q_proj kept in float"});
}

class RecipeFile {
 public:
  explicit RecipeFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("pare_recipe_" + std::to_string(::getpid()) + ".yaml")) {
    std::ofstream(path_) << text;
  }
  ~RecipeFile() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Recipe, SaysTheSameAsFlags) {
  const RecipeFile file("scheme: w4a16\ngroup-size: 64\nasym: true\ndisable_names:\n  - \"*.q\"\n");
  ParamMap params;
  read_recipe(file.path(), params);
  EXPECT_EQ(params.text("scheme"), "w4a16");
  EXPECT_EQ(params.integer("group_size"), 64);
  EXPECT_TRUE(params.flag("asym"));
  EXPECT_EQ(params.list("disable_names"), std::vector<std::string>{"*.q"});
}

TEST(Recipe, FlagsWin) {
  const RecipeFile file("scheme: w4a16\n");
  ParamMap params;
  params.set(recipe_params().front(), "w8a16", "--scheme");
  read_recipe(file.path(), params);
  EXPECT_EQ(params.text("scheme"), "w8a16");
}

TEST(Recipe, WrittenAndReadAgainItIsTheSame) {
  const RecipeFile file("scheme: w4a16\ntemplate: \"{q}: \\\"x\\\"\\n\"\ndisable_names: [a, \"b*\"]\n");
  ParamMap params;
  read_recipe(file.path(), params);
  const RecipeFile again(recipe_text(params, recipe_params()));
  ParamMap copy;
  read_recipe(again.path(), copy);
  EXPECT_EQ(params.values(), copy.values());
}

TEST(Recipe, MistakesAreNamedWithTheirLine) {
  const auto message = [](const std::string& text) {
    const RecipeFile file(text);
    ParamMap params;
    try {
      read_recipe(file.path(), params);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message("scheme: w4a16\ngroup_sizes: 64\n").find(":2\n  did you mean \"group_size\"?"),
            std::string::npos);
  EXPECT_NE(message("group_size: 48\n").find("allowed: one of 32|64|128|256"), std::string::npos);
  EXPECT_NE(message("scheme: a\nscheme: b\n").find("given twice"), std::string::npos);
  EXPECT_NE(message("- a\n").find("key: value"), std::string::npos);
  EXPECT_NE(message("scheme: [a\n").find("error[E0103]"), std::string::npos);
}

}  // namespace
}  // namespace pare::pipeline
