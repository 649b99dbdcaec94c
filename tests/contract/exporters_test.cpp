// What every exporter must do, with every scheme: refuse with a reason, or write files that say
// exactly what was meant.
#include "core/error.h"
#include "export/exporter.h"
#include "io/json.h"
#include "support/made_up_llama.h"
#include "support/made_up_model.h"

#include <gtest/gtest.h>

#include <cctype>
#include <ostream>
#include <set>

namespace pare::export_ {
namespace {

struct Case {
  const Exporter* exporter;
  quant::Scheme scheme;
  DType dtype;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.exporter->id << ", " << c.scheme.text() << ", " << name_of(c.dtype);
}

std::vector<quant::Scheme> all_schemes() {
  std::vector<quant::Scheme> schemes;
  for (const quant::NamedScheme& named : quant::named_schemes()) {
    for (const bool symmetric : {true, false}) {
      quant::Scheme scheme{.weight_bits = named.weight_bits,
                           .symmetric = symmetric,
                           .activations = named.activations,
                           .grid = named.grid};
      schemes.push_back(scheme);
      scheme.granularity = quant::Granularity::tensor;
      schemes.push_back(scheme);
      scheme.granularity = quant::Granularity::group;
      scheme.group_size = 32;
      schemes.push_back(scheme);
    }
  }
  return schemes;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Exporter* exporter : exporters()) {
    for (const quant::Scheme& scheme : all_schemes()) {
      for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        cases.push_back({exporter, scheme, dtype});
      }
    }
  }
  return cases;
}

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  std::string name = std::string(info.param.exporter->id) + "_" + info.param.scheme.text() + "_" +
                     std::string(name_of(info.param.dtype));
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class EveryExporter : public testing::TestWithParam<Case> {};

/// The bias a loader ends up with is the one that was given, up to half a step of the integers.
void expect_effective_bias(const quant::QuantizedLinear& meant, const std::vector<float>& found) {
  if (!meant.bias.has_value()) {
    EXPECT_TRUE(found.empty());
    return;
  }
  const std::vector<float> bias = read_floats(meant.bias->view());
  ASSERT_EQ(found.size(), bias.size());
  for (std::size_t row = 0; row < bias.size(); ++row) {
    const float step = meant.input.has_value()
                           ? meant.input->scale * meant.scale_at(static_cast<std::int64_t>(row), 0)
                           : 0.0F;
    EXPECT_NEAR(found[row], bias[row], 0.51F * step) << "row " << row;
  }
}

/// Sparse codes are int8 codes like any others to a layout that knows no grids.
quant::QuantizedLinear as_held_by(const Exporter& exporter, quant::QuantizedLinear linear) {
  if (exporter.weights_only) linear.scheme.activations = quant::Activations::none;
  if (exporter.weights_only) linear.input.reset();
  if (exporter.id == "compressed-tensors") linear.scheme.grid = quant::WeightGrid::uniform;
  return linear;
}

/// A plan comes from headers, zeros and groups alone, and still says all that the linear does.
void expect_same_plan(const LinearPlan& meant, const LinearPlan& found) {
  EXPECT_EQ(found.name, meant.name);
  EXPECT_EQ(found.scheme, meant.scheme) << found.scheme.text();
  EXPECT_EQ(found.out, meant.out);
  EXPECT_EQ(found.in, meant.in);
  EXPECT_EQ(found.scale_dtype, meant.scale_dtype);
  EXPECT_EQ(found.activation_dtype, meant.activation_dtype);
  EXPECT_EQ(found.bias_dtype, meant.bias_dtype);
  EXPECT_EQ(found.has_power, meant.has_power);
  EXPECT_EQ(found.act_order, meant.act_order);
  EXPECT_EQ(found.symmetric_input, meant.symmetric_input);
}

/// The values of a tensor as another type holds them.
std::vector<float> rounded(const Tensor& tensor, DType dtype) {
  std::vector<float> values = read_floats(tensor.view());
  for (float& value : values)
    value = round_through(value, dtype);
  return values;
}

/// No layout claims it, and it holds every weight of the model.
void expect_float_model(const Exporter& exporter, const test::MadeUpModel& model,
                        const std::filesystem::path& folder) {
  EXPECT_EQ(exporter_of(folder), nullptr);
  const auto checkpoint = exporter.open(folder);
  EXPECT_TRUE(checkpoint->linears().empty());
  for (const auto& [name, linear] : model.linears) {
    const auto weight = checkpoint->tensor(name + ".weight");
    ASSERT_TRUE(weight.has_value()) << name;
    EXPECT_EQ(weight->shape, (Shape{linear.out, linear.in}));
    EXPECT_EQ(weight->dtype, model.plan.model_dtype);
  }
}

TEST_P(EveryExporter, WritesWhatItReads) {
  const auto& [exporter, scheme, dtype] = GetParam();
  if (const std::string reason = exporter->refuses(scheme); !reason.empty()) {
    EXPECT_GT(reason.size(), 10U) << "a reason people can act on";
    return;
  }
  const test::MadeUpOptions options{
      .q_out = 8, .up_out = 16, .linear_dtype = exporter->scale_dtype};
  const test::MadeUpModel model = exporter->needs_architecture
                                      ? test::made_up_llama(scheme, dtype, options)
                                      : test::made_up_model(scheme, dtype, options);
  ASSERT_EQ(exporter->check(model.plan), "");
  const test::TemporaryFolder folder;
  const ParamMap params = test::defaults_of(*exporter);
  for (const std::string& file : test::write_model(*exporter, model, folder.path(), params)) {
    ASSERT_TRUE(std::filesystem::exists(folder.path() / file)) << file;
    EXPECT_EQ(test::mode_of(folder.path() / file) & 0077U, 0U) << file << " is open to others";
  }
  if (exporter->plain_floats) return expect_float_model(*exporter, model, folder.path());
  ASSERT_EQ(exporter_of(folder.path()), exporter);

  const bool widened =
      dtype == DType::bf16 && exporter->declare(model.plan, params)[0].dtype == DType::f32;
  const auto checkpoint = exporter->open(folder.path());
  EXPECT_EQ(checkpoint->linears().size(), model.linears.size());
  for (const auto& [name, meant] : model.linears) {
    const auto stored = checkpoint->linear(name);
    ASSERT_TRUE(stored.has_value()) << name;
    test::expect_same_linear(as_held_by(*exporter, meant), stored->linear, widened);
    expect_effective_bias(meant, stored->effective_bias);
    expect_same_plan(plan_of(stored->linear), checkpoint->plan(name));
    checkpoint->release(name);
    EXPECT_FALSE(checkpoint->tensor(name + ".weight").has_value()) << "codes are no float tensor";
  }
  std::vector<std::string> names;
  for (const auto& [name, meant] : model.tensors) {
    names.push_back(name);
    const auto stored = checkpoint->tensor(name);
    ASSERT_TRUE(stored.has_value()) << name;
    EXPECT_EQ(stored->shape, meant.shape());
    EXPECT_EQ(read_floats(*stored), rounded(meant, stored->dtype)) << name;
    if (stored->dtype == meant.dtype()) {
      EXPECT_EQ(test::bytes_of(*stored), test::bytes_of(meant.view())) << name;
    }
  }
  EXPECT_EQ(checkpoint->tensors(), names);
  EXPECT_FALSE(checkpoint->linear("model.no_such").has_value());
  EXPECT_FALSE(checkpoint->tensor("model.no_such").has_value());
}

INSTANTIATE_TEST_SUITE_P(AllSchemes, EveryExporter, testing::ValuesIn(all_cases()), name_of_case);

TEST(Exporters, DescribeThemselves) {
  std::set<std::string_view> ids;
  for (const Exporter* exporter : exporters()) {
    EXPECT_TRUE(ids.insert(exporter->id).second) << exporter->id << " is there twice";
    EXPECT_EQ(&find_exporter(exporter->id), exporter);
    EXPECT_GT(exporter->summary.size(), 10U);
    for (const ParamSpec& spec : exporter->params)
      EXPECT_GT(spec.help.size(), 10U) << spec.name;
    const ExportPlan plan =
        test::made_up_model({.activations = quant::Activations::static_tensor}, DType::bf16).plan;
    EXPECT_TRUE(io::parse_json(exporter->config_patch(plan), "config patch").is_object());
  }
}

TEST(Exporters, NoneClaimsAFolderOfSomethingElse) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(exporter_of(folder.path()), nullptr);
  EXPECT_EQ(exporter_of(folder.path() / "absent"), nullptr);
  for (const Exporter* exporter : exporters()) {
    EXPECT_THROW(exporter->open(folder.path()), Error) << exporter->id;
  }
}

TEST(Exporters, DeclareOneTensorPerName) {
  const quant::Scheme scheme{.activations = quant::Activations::static_tensor};
  for (const Exporter* exporter : exporters()) {
    if (!exporter->refuses(scheme).empty()) continue;
    const test::MadeUpModel model = exporter->needs_architecture
                                        ? test::made_up_llama(scheme, DType::f16)
                                        : test::made_up_model(scheme, DType::f16);
    const ParamMap params = test::defaults_of(*exporter);
    std::set<std::string> names;
    std::size_t bytes = 0;
    for (const formats::TensorInfo& info : exporter->declare(model.plan, params)) {
      EXPECT_TRUE(names.insert(info.name).second) << info.name;
      bytes += info.nbytes();
    }
    EXPECT_EQ(output_bytes(*exporter, model.plan, params), bytes);
  }
}

}  // namespace
}  // namespace pare::export_
