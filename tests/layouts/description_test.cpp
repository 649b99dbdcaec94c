// The description's text, and what is refused when it is read.
#include "layouts/ascend/description.h"

#include "io/file.h"
#include "pare/error.h"
#include "support/made_up_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pare::layout {
namespace {

using ::testing::HasSubstr;

Description read_text(const std::string& text) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "quant_model_description.json";
  io::write_text(path, text);
  return read_description(path);
}

void expect_refused(const std::string& text, ErrorCode code, const std::string& word) {
  try {
    read_text(text);
    FAIL() << "accepted: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(word));
    EXPECT_THAT(error.what(), HasSubstr("quant_model_description.json"));
  }
}

TEST(Description, Text) {
  Description description;
  description.version = kVersion;
  description.scheme_tag = "W4A16";
  description.group_size = 64;
  description.tags = {{"b.weight", "W4A16"}, {"a \"quoted\".weight", "FLOAT"}};
  EXPECT_EQ(description_text(description), R"({
  "version": "1.0.0",
  "model_quant_type": "W4A16",
  "group_size": 64,
  "b.weight": "W4A16",
  "a \"quoted\".weight": "FLOAT"
}
)");
  const Description again = read_text(description_text(description));
  EXPECT_EQ(again.version, "1.0.0");
  EXPECT_EQ(again.scheme_tag, "W4A16");
  EXPECT_EQ(again.group_size, 64);
  EXPECT_EQ(again.tags, description.tags);
}

TEST(Description, HeaderWithoutVersion) {
  Description description;
  description.scheme_tag = "W8A8";
  EXPECT_EQ(description_text(description), "{\n  \"model_quant_type\": \"W8A8\"\n}\n");
}

TEST(Description, TagsFollowTheOrderOfTheFiles) {
  const test::MadeUpModel model =
      test::made_up_model({.activations = quant::Activations::static_tensor}, DType::f16);
  const Description description = describe(model.plan, declare_items(model.plan, Int4::unpaired));
  ASSERT_GE(description.tags.size(), 10U);
  const std::string q = "model.layers.0.self_attn.q_proj.";
  const std::vector<std::pair<std::string, std::string>> first(description.tags.begin(),
                                                               description.tags.begin() + 10);
  EXPECT_EQ(first, (std::vector<std::pair<std::string, std::string>>{
                       {"model.embed_tokens.weight", "FLOAT"},
                       {q + "weight", "W8A8"},
                       {q + "bias", "FLOAT"},
                       {q + "weight_scale", "W8A8"},
                       {q + "weight_offset", "W8A8"},
                       {q + "input_scale", "W8A8"},
                       {q + "input_offset", "W8A8"},
                       {q + "quant_bias", "W8A8"},
                       {q + "deq_scale", "W8A8"},
                       {"model.layers.0.self_attn.o_proj.weight", "W8A8"}}));
}

TEST(Description, RefusesWhatItDoesNotKnow) {
  expect_refused(R"({"model_quant_type": "W8A8SC"})", ErrorCode::scheme_not_supported, "W8A8SC");
  expect_refused(R"({"model_quant_type": "W8A8", "a.weight": "NF4"})",
                 ErrorCode::scheme_not_supported, "a.weight");
  expect_refused(R"({"model_quant_type": "W8A8", "kv_cache_type": "C8"})",
                 ErrorCode::scheme_not_supported, "kv_cache_type");
}

TEST(Description, RefusesDamage) {
  expect_refused("[]", ErrorCode::bad_description, "object");
  expect_refused("{}", ErrorCode::bad_description, "model_quant_type");
  expect_refused(R"({"model_quant_type": 8})", ErrorCode::bad_description, "model_quant_type");
  expect_refused(R"({"model_quant_type": "W8A8", "a.weight": {"x": 1}})",
                 ErrorCode::bad_description, "a.weight");
  expect_refused(R"({"model_quant_type": "W4A16", "group_size": "64"})", ErrorCode::bad_description,
                 "group_size");
  expect_refused(R"({"model_quant_type": "W4A16", "group_size": 64.5})", ErrorCode::bad_description,
                 "group_size");
  expect_refused(R"({"model_quant_type": "W4A16", "group_size": 18446744073709551615})",
                 ErrorCode::bad_description, "group_size");
  expect_refused(R"({"model_quant_type": "W8A8", "a.wei)", ErrorCode::bad_json, "");
  expect_refused(R"({"model_quant_type": "W8A8", "model_quant_type": "W4A16"})",
                 ErrorCode::bad_json, "");
}

TEST(Description, FileNamesSpellTypesInLowerCase) {
  EXPECT_EQ(typed_description_name("W8A8_DYNAMIC"), "quant_model_description_w8a8_dynamic.json");
}

}  // namespace
}  // namespace pare::layout
