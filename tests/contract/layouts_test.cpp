// What every layout must do, with every scheme: refuse with a reason, or write files that say
// exactly what was meant.
#include "io/json.h"
#include "layouts/layout.h"
#include "pare/error.h"
#include "quant/named_schemes.h"
#include "support/made_up_llama.h"
#include "support/made_up_model.h"

#include <gtest/gtest.h>

#include <cctype>
#include <ostream>
#include <set>

namespace pare::layout {
namespace {

struct Case {
  const Layout* layout;
  quant::Scheme scheme;
  DType dtype;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.layout->id << ", " << c.scheme.text() << ", " << name_of(c.dtype);
}

std::vector<quant::Scheme> all_schemes() {
  std::vector<quant::Scheme> schemes;
  for (const quant::NamedScheme& named : quant::named_schemes()) {
    for (const bool symmetric : {true, false}) {
      quant::Scheme scheme{.weight_bits = named.weight_bits,
                           .symmetric = symmetric,
                           .activations = named.activations,
                           .form = named.form};
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
  for (const Layout* layout : layouts()) {
    for (const quant::Scheme& scheme : all_schemes()) {
      for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        cases.push_back({layout, scheme, dtype});
      }
    }
  }
  return cases;
}

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  std::string name = std::string(info.param.layout->id) + "_" + info.param.scheme.text() + "_" +
                     std::string(name_of(info.param.dtype));
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class EveryLayout : public testing::TestWithParam<Case> {};

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
quant::QuantizedLinear as_held_by(const Layout& layout, quant::QuantizedLinear linear) {
  if (layout.weights_only) linear.scheme.activations = quant::Activations::none;
  if (layout.weights_only) linear.input.reset();
  if (layout.id == "compressed-tensors") linear.scheme.form = quant::CodeForm::uniform;
  return linear;
}

/// A plan comes from headers, zeros and groups alone, and still says all that the linear does.
/// The values of a tensor as another type holds them.
std::vector<float> rounded(const Tensor& tensor, DType dtype) {
  std::vector<float> values = read_floats(tensor.view());
  for (float& value : values)
    value = round_through(value, dtype);
  return values;
}

/// No layout claims it, and it holds every weight of the model.
void expect_float_model(const Layout& layout, const test::MadeUpModel& model,
                        const std::filesystem::path& folder) {
  EXPECT_EQ(layout_of(folder), nullptr);
  const auto checkpoint = layout.open(folder);
  EXPECT_TRUE(checkpoint->linears().empty());
  for (const auto& [name, linear] : model.linears) {
    const auto weight = checkpoint->tensor(name + ".weight");
    ASSERT_TRUE(weight.has_value()) << name;
    EXPECT_EQ(weight->shape, (Shape{linear.out, linear.in}));
    EXPECT_EQ(weight->dtype, model.plan.model_dtype);
  }
}

TEST_P(EveryLayout, WritesWhatItReads) {
  const auto& [layout, scheme, dtype] = GetParam();
  if (const std::string reason = layout->refuses(scheme); !reason.empty()) {
    EXPECT_GT(reason.size(), 10U) << "a reason people can act on";
    return;
  }
  const test::MadeUpOptions options{.q_out = 8, .up_out = 16, .linear_dtype = layout->scale_dtype};
  const test::MadeUpModel model = layout->needs_architecture
                                      ? test::made_up_llama(scheme, dtype, options)
                                      : test::made_up_model(scheme, dtype, options);
  ASSERT_EQ(layout->check(model.plan), "");
  const test::TemporaryFolder folder;
  const ParamMap params = test::defaults_of(*layout);
  for (const std::string& file : test::write_model(*layout, model, folder.path(), params)) {
    ASSERT_TRUE(std::filesystem::exists(folder.path() / file)) << file;
    EXPECT_EQ(test::mode_of(folder.path() / file) & 0077U, 0U) << file << " is open to others";
  }
  if (layout->plain_floats) return expect_float_model(*layout, model, folder.path());
  ASSERT_EQ(layout_of(folder.path()), layout);

  const bool widened =
      dtype == DType::bf16 && layout->declare(model.plan, params)[0].dtype == DType::f32;
  const auto checkpoint = layout->open(folder.path());
  EXPECT_EQ(checkpoint->linears().size(), model.linears.size());
  for (const auto& [name, meant] : model.linears) {
    const auto stored = checkpoint->linear(name);
    ASSERT_TRUE(stored.has_value()) << name;
    test::expect_same_linear(as_held_by(*layout, meant), stored->linear, widened);
    expect_effective_bias(meant, stored->effective_bias);
    EXPECT_EQ(checkpoint->header(name), stored->linear.header()) << name;
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

INSTANTIATE_TEST_SUITE_P(AllSchemes, EveryLayout, testing::ValuesIn(all_cases()), name_of_case);

TEST(Layouts, DescribeThemselves) {
  std::set<std::string_view> ids;
  for (const Layout* layout : layouts()) {
    EXPECT_TRUE(ids.insert(layout->id).second) << layout->id << " is there twice";
    EXPECT_EQ(&find_layout(layout->id), layout);
    EXPECT_GT(layout->summary.size(), 10U);
    for (const ParamSpec& spec : layout->params)
      EXPECT_GT(spec.help.size(), 10U) << spec.name;
    const OutputPlan plan =
        test::made_up_model({.activations = quant::Activations::static_tensor}, DType::bf16).plan;
    if (layout->config_patch == nullptr) continue;
    const io::Json patch = io::parse_json(layout->config_patch(plan), "config patch");
    EXPECT_TRUE(patch.is_object() && !patch.empty()) << layout->id;
    for (const auto& [key, value] : patch.items())
      EXPECT_FALSE(value.is_null()) << key;
  }
}

TEST(Layouts, NoneClaimsAFolderOfSomethingElse) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(layout_of(folder.path()), nullptr);
  EXPECT_EQ(layout_of(folder.path() / "absent"), nullptr);
  for (const Layout* layout : layouts()) {
    EXPECT_THROW(layout->open(folder.path()), Error) << layout->id;
  }
}

TEST(Layouts, DeclareOneTensorPerName) {
  const quant::Scheme scheme{.activations = quant::Activations::static_tensor};
  for (const Layout* layout : layouts()) {
    if (!layout->refuses(scheme).empty()) continue;
    const test::MadeUpModel model = layout->needs_architecture
                                        ? test::made_up_llama(scheme, DType::f16)
                                        : test::made_up_model(scheme, DType::f16);
    const ParamMap params = test::defaults_of(*layout);
    std::set<std::string> names;
    std::size_t bytes = 0;
    for (const containers::TensorInfo& info : layout->declare(model.plan, params)) {
      EXPECT_TRUE(names.insert(info.name).second) << info.name;
      bytes += info.nbytes();
    }
    OutputPlan plan = model.plan;
    plan.layout = layout;
    EXPECT_EQ(output_bytes(plan, params), bytes);
  }
}

}  // namespace
}  // namespace pare::layout
