// Damaged and contradicting files: each is refused with the name of what is wrong.
#include "containers/safetensors/writer.h"
#include "io/file.h"
#include "io/json.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "support/made_up_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace pare::layout {
namespace {

using ::testing::HasSubstr;

const quant::Scheme kStatic{.activations = quant::Activations::static_tensor};
const std::string kLinear = "model.layers.0.self_attn.q_proj";

/// The files of a small model in memory, to be changed before they are written again.
struct Files {
  std::map<std::string, Tensor> tensors;
  io::Json description;

  explicit Files(const quant::Scheme& scheme = kStatic, std::string_view format = "ascend")
      : format_(format) {
    const Layout& layout = find_layout(format);
    const test::TemporaryFolder folder;
    const auto names = test::write_model(layout, test::made_up_model(scheme, DType::f32),
                                         folder.path(), test::defaults_of(layout));
    weights_ = names[0];
    description_ = names[1];
    const auto source = containers::open_checkpoint(folder.path() / weights_);
    for (const containers::TensorInfo& info : source->tensors()) {
      tensors[info.name] =
          Tensor::from<std::byte>(info.dtype, info.shape, source->read(info.name).data);
    }
    description = io::read_json(folder.path() / description_);
  }

  void write(const std::filesystem::path& folder) const {
    std::vector<containers::TensorInfo> infos;
    for (const auto& [name, tensor] : tensors) {
      infos.push_back({name, tensor.dtype(), tensor.shape()});
    }
    containers::SafetensorsLayout layout;
    layout.folder = folder;
    layout.base_name = weights_.substr(0, weights_.rfind(".safetensors"));
    containers::SafetensorsWriter writer(layout, infos);
    for (const auto& [name, tensor] : tensors)
      writer.write(name, tensor.view());
    writer.finish();
    io::write_text(folder / description_, description.dump(2));
  }

  /// Opening, or reading the linear, must fail with this code and these words.
  void expect_refused(ErrorCode code, const std::string& word) const {
    const test::TemporaryFolder folder;
    write(folder.path());
    try {
      find_layout(format_).open(folder.path())->linear(kLinear);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(word));
    }
  }

  void expect_accepted() const {
    const test::TemporaryFolder folder;
    write(folder.path());
    EXPECT_TRUE(find_layout(format_).open(folder.path())->linear(kLinear).has_value());
  }

  void set_floats(const std::string& part, const std::vector<float>& values, Shape shape) {
    tensors[kLinear + "." + part] = store_floats(values, DType::f32, std::move(shape));
  }

 private:
  std::string format_;
  std::string weights_;
  std::string description_;
};

TEST(Hostile, UntouchedFilesAreAccepted) {
  Files().expect_accepted();
  Files({.weight_bits = 4}, "ascend-v1").expect_accepted();
}

TEST(Hostile, NameOnlyInTheDescription) {
  Files files;
  files.description["model.layers.9.mlp.weight"] = "FLOAT";
  files.expect_refused(ErrorCode::bad_description,
                       "described but not in the weight files: \"model.layers.9.mlp.weight\"");
}

TEST(Hostile, NameOnlyInTheWeights) {
  Files files;
  files.description.erase("model.norm.weight");
  files.expect_refused(ErrorCode::bad_description,
                       "in the weight files but not described: \"model.norm.weight\"");
}

TEST(Hostile, BothSidesAreNamed) {
  Files files;
  for (const std::string name : {"a", "b", "c", "d", "e"})
    files.description[name] = "FLOAT";
  files.description.erase("model.norm.weight");
  files.expect_refused(ErrorCode::bad_description, "\"a\", \"b\", \"c\" and 2 more; in the weight");
}

TEST(Hostile, DescriptionCutShort) {
  const test::TemporaryFolder folder;
  Files().write(folder.path());
  const auto path = folder.path() / "quant_model_description_w8a8.json";
  const std::string text = io::read_text(path);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, text.size() / 2, text.size() - 2}) {
    std::filesystem::remove(path);
    io::write_text(path, text.substr(0, length));
    try {
      find_layout("ascend").open(folder.path());
      FAIL() << "accepted " << length << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_json) << error.what();
    }
  }
}

TEST(Hostile, SeveralDescriptions) {
  const test::TemporaryFolder folder;
  Files().write(folder.path());
  io::write_text(folder.path() / "quant_model_description_w4a16.json", "{}");
  EXPECT_THROW(find_layout("ascend").open(folder.path()), Error);
}

TEST(Hostile, WeightsMissing) {
  const test::TemporaryFolder folder;
  Files().write(folder.path());
  std::filesystem::remove(folder.path() / "quant_model_weight_w8a8.safetensors");
  EXPECT_THROW(find_layout("ascend").open(folder.path()), Error);
  EXPECT_EQ(layout_of(folder.path()), nullptr);
}

TEST(Hostile, PartsThatDoNotMakeALinear) {
  Files missing;
  missing.tensors.erase(kLinear + ".input_offset");
  missing.description.erase(kLinear + ".input_offset");
  missing.expect_refused(ErrorCode::bad_description, kLinear + " of type W8A8 lacks input_offset");
  Files mixed;
  mixed.description[kLinear + ".weight_scale"] = "W8A16";
  mixed.expect_refused(ErrorCode::bad_description, "other tensors of the same module have W8A8");
  Files too_many;
  for (const auto& [name, tensor] : too_many.tensors) {
    if (name.starts_with(kLinear)) too_many.description[name] = "W8A8_DYNAMIC";
  }
  too_many.description[kLinear + ".bias"] = "FLOAT";
  too_many.expect_refused(ErrorCode::bad_description, "cannot have input_scale");
  Files odd_name;
  odd_name.description["model.norm.weight"] = "W8A8";
  odd_name.expect_refused(ErrorCode::bad_description, "model.norm");
}

TEST(Hostile, WrongTypes) {
  const std::vector<std::pair<std::string, DType>> wrong = {
      {"weight", DType::u8},        {"weight", DType::f32},      {"weight_scale", DType::i32},
      {"weight_offset", DType::i8}, {"input_scale", DType::f64}, {"input_offset", DType::i8},
      {"quant_bias", DType::i64},   {"quant_bias", DType::f32},  {"deq_scale", DType::i32},
      {"deq_scale", DType::f16},    {"bias", DType::i32}};
  for (const auto& [part, dtype] : wrong) {
    Files files;
    Tensor& tensor = files.tensors[kLinear + "." + part];
    tensor = Tensor(dtype, tensor.shape());
    files.expect_refused(ErrorCode::tensor_mismatch, part == "deq_scale" ? "deq_scale" : part);
  }
}

TEST(Hostile, WrongShapes) {
  const std::vector<std::pair<std::string, Shape>> wrong = {
      {"weight", {384}},         {"weight", {64, 6}},      {"weight", {0, 64}},
      {"weight", {6, 8, 8}},     {"weight_scale", {6, 0}}, {"weight_scale", {5, 1}},
      {"weight_scale", {6, 5}},  {"weight_scale", {}},     {"weight_scale", {6, 1, 1}},
      {"weight_offset", {1, 6}}, {"input_scale", {2}},     {"input_scale", {}},
      {"input_offset", {1, 1}},  {"quant_bias", {5}},      {"quant_bias", {6, 1}},
      {"deq_scale", {1}},        {"deq_scale", {7}},       {"bias", {7}}};
  for (const auto& [part, shape] : wrong) {
    Files files;
    Tensor& tensor = files.tensors[kLinear + "." + part];
    tensor = Tensor(tensor.dtype(), shape);
    files.expect_refused(ErrorCode::tensor_mismatch, kLinear);
  }
}

TEST(Hostile, ValuesThatCannotBe) {
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, infinity, -infinity}) {
    Files files;
    files.set_floats("weight_scale", {0.01F, 0.01F, bad, 0.01F, 0.01F, 0.01F}, {6, 1});
    files.expect_refused(ErrorCode::not_finite, "weight_scale, value 2");
    Files input;
    input.set_floats("input_scale", {bad}, {1});
    input.expect_refused(ErrorCode::not_finite, "input_scale");
    Files bias;
    bias.set_floats("bias", {0, 0, 0, 0, 0, bad}, {6});
    bias.expect_refused(ErrorCode::not_finite, "bias, value 5");
    Files deq;
    deq.set_floats("deq_scale", {bad, 1, 1, 1, 1, 1}, {6});
    deq.expect_refused(ErrorCode::not_finite, "deq_scale, value 0");
  }
  Files negative;
  negative.set_floats("weight_scale", std::vector<float>(6, -0.01F), {6, 1});
  negative.expect_refused(ErrorCode::tensor_mismatch, "weight_scale, value 0: -0.01");
  for (const float bad : {0.5F, 128.0F, -129.0F}) {
    Files files;
    files.set_floats("input_offset", {bad}, {1});
    files.expect_refused(ErrorCode::tensor_mismatch, "input_offset");
  }
  Files zero;
  zero.set_floats("input_scale", {0}, {1});
  zero.expect_refused(ErrorCode::tensor_mismatch, "input_scale");
}

TEST(Hostile, DeqScaleOfAnotherKind) {
  Files files;
  std::vector<float> as_numbers;  // what a reader sees that takes the bits for a number
  for (int i = 0; i < 6; ++i)
    as_numbers.push_back(1e9F);
  files.set_floats("deq_scale", as_numbers, {6});
  files.expect_refused(ErrorCode::bad_description, "deq_scale of row 0");
  Files wide;
  wide.tensors[kLinear + ".deq_scale"] = Tensor::from<std::int64_t>(
      DType::i64, {6}, std::vector<std::int64_t>(6, std::int64_t{1} << 33));
  wide.expect_refused(ErrorCode::tensor_mismatch, "deq_scale");
}

TEST(Hostile, StaticActivationsWithWeightZeros) {
  Files files;
  files.set_floats("weight_offset", {0, 1, 0, 0, 0, 0}, {6, 1});
  files.expect_refused(ErrorCode::tensor_mismatch, "symmetric");
}

TEST(Hostile, SparseLinears) {
  const quant::Scheme sparse{.activations = quant::Activations::static_tensor,
                             .form = quant::CodeForm::outliers};
  Files(sparse).expect_accepted();
  for (const Shape& shape : {Shape{1, 6}, Shape{5}, Shape{6, 1}, Shape{}, Shape{0}}) {
    Files files(sparse);
    files.tensors[kLinear + ".deq_scale"] = Tensor(DType::i64, shape);
    files.expect_refused(ErrorCode::tensor_mismatch, "deq_scale");
  }
  Files negative(sparse);
  negative.set_floats("deq_scale", {1, 1, 1, -1, 1, 1}, {6});
  negative.expect_refused(ErrorCode::tensor_mismatch, "deq_scale, value 3");
  Files large(sparse);
  large.set_floats("deq_scale", std::vector<float>(6, 3e38F), {6});
  large.expect_refused(ErrorCode::tensor_mismatch, "deq_scale, value 0");
  Files scaled(sparse);
  scaled.set_floats("weight_scale", std::vector<float>(6, 0.1F), {6, 1});
  scaled.description[kLinear + ".weight_scale"] = "W8A8S";
  scaled.expect_refused(ErrorCode::bad_description, "cannot have weight_scale");
  for (const float power : {0.0F, -0.5F}) {
    Files files(sparse);
    files.set_floats("weight_power", {power}, {1});
    files.description[kLinear + ".weight_power"] = "W8A8S";
    files.expect_refused(ErrorCode::tensor_mismatch, "weight_power");
  }
}

TEST(Hostile, TwoStages) {
  const quant::Scheme two_stage{.weight_bits = 4,
                                .granularity = quant::Granularity::group,
                                .group_size = 32,
                                .activations = quant::Activations::dynamic_token,
                                .form = quant::CodeForm::two_stage};
  Files(two_stage, "ascend-v1").expect_accepted();
  const auto refused = [&](const std::string& part, const Tensor& tensor, ErrorCode code,
                           const std::string& word) {
    Files files(two_stage, "ascend-v1");
    files.tensors[kLinear + "." + part] = tensor;
    files.expect_refused(code, word);
  };
  const auto wrong = ErrorCode::tensor_mismatch;
  refused("weight_scale_second", Tensor(DType::f32, {5, 2}), wrong, "weight_scale_second");
  refused("weight_scale_second", Tensor(DType::f32, {6, 7}), wrong, "weight_scale_second");
  refused("weight_scale", Tensor(DType::f32, {6, 2}), wrong, "weight_scale");
  refused("weight_offset_second", Tensor(DType::f32, {6, 2}), wrong, "weight_offset_second");
  refused("weight_offset_second", Tensor(DType::i64, {6, 1}), wrong, "weight_offset_second");
  const std::vector<std::int64_t> ones(12, 1);
  refused("weight_offset_second", Tensor::from<std::int64_t>(DType::i64, {6, 2}, ones), wrong,
          "offset");
  refused("scale_bias", Tensor(DType::f32, {6, 2}), wrong, "scale_bias");
  refused("scale_bias", Tensor(DType::f32, {6, 1}), ErrorCode::bad_description,
          "scale_bias, value 0 is 0");
  refused("scale_bias", Tensor(DType::f32, {6, 16}), ErrorCode::bad_description, "scale_bias");
  Files grouped(two_stage, "ascend-v1");
  grouped.description["group_size"] = 64;
  grouped.expect_refused(ErrorCode::bad_description, "group_size is 64");
  Files without(two_stage, "ascend-v1");
  without.tensors.erase(kLinear + ".scale_bias");
  without.description.erase(kLinear + ".scale_bias");
  without.expect_refused(ErrorCode::bad_description, "lacks scale_bias");
}

TEST(Hostile, CodesWiderThanTheirType) {
  Files files({.weight_bits = 4});
  Tensor& weight = files.tensors[kLinear + ".weight"];
  weight.bytes()[5] = std::byte{100};
  files.expect_refused(ErrorCode::tensor_mismatch, "100");
}

TEST(Hostile, GroupSizeOfTheHeaderContradictsTheScales) {
  const quant::Scheme scheme{
      .weight_bits = 4, .granularity = quant::Granularity::group, .group_size = 32};
  Files files(scheme, "ascend-v1");
  files.expect_accepted();
  files.description["group_size"] = 64;
  files.expect_refused(ErrorCode::bad_description, "group_size is 64");
}

TEST(Hostile, OtherVersion) {
  Files files({.weight_bits = 4}, "ascend-v1");
  files.description["version"] = "2.0.0";
  files.expect_refused(ErrorCode::bad_description, "2.0.0");
  files.description.erase("version");
  files.expect_refused(ErrorCode::bad_description, "version");
}

TEST(Hostile, ForeignModel) {
  Files files;
  files.description["model_quant_type"] = "W8A8SC";
  files.expect_refused(ErrorCode::scheme_not_supported, "W8A8SC");
  files.description["model_quant_type"] = "../../etc";
  files.expect_refused(ErrorCode::scheme_not_supported, "../../etc");
}

TEST(Writer, HoldsWhatArrivesAgainstThePlan) {
  const test::MadeUpModel model = test::made_up_model(kStatic, DType::f32);
  for (const char* id : {"ascend", "ascend-v1", "npy"}) {
    const Layout* layout = &find_layout(id);
    const test::TemporaryFolder folder;
    OutputPlan plan = model.plan;
    plan.layout = layout;
    CheckedWriter writer(plan, folder.path(), test::defaults_of(*layout));
    const Tensor& norm = model.tensors.at("model.norm.weight");
    EXPECT_THROW(writer.put_tensor("model.unplanned.weight", norm.view()), Error);
    EXPECT_THROW(writer.put_tensor("model.norm.weight", Tensor(DType::f32, {3}).view()), Error);
    quant::QuantizedLinear linear = model.linears.at(kLinear);
    linear.bias.reset();
    EXPECT_THROW(writer.put_linear(linear), Error) << "the plan has a bias";
    linear = model.linears.at(kLinear);
    linear.scales.pop_back();
    EXPECT_THROW(writer.put_linear(linear), Error);
    EXPECT_THROW(writer.finish(), Error) << "nothing was given";
  }
}

TEST(Writer, NamesTheLinearWhoseBiasDoesNotFit) {
  test::MadeUpModel model = test::made_up_model(kStatic, DType::f32);
  quant::QuantizedLinear& linear = model.linears.at(kLinear);
  linear.bias = store_floats(std::vector<float>(6, 1e30F), DType::f32, {6});
  const Layout& layout = find_layout("ascend");
  const test::TemporaryFolder folder;
  try {
    test::write_model(layout, model, folder.path(), test::defaults_of(layout));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_range);
    EXPECT_THAT(error.what(), HasSubstr(kLinear));
  }
}

}  // namespace
}  // namespace pare::layout
