// The proof of a conversion: it accepts what was meant and finds every kind of number that differs.
#include "pare/error.h"
#include "pipeline/convert/plan.h"
#include "pipeline/output/verify.h"
#include "support/converted.h"
#include "support/hf_folder.h"

#include <cstddef>
#include <functional>
#include <string>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

using Tensors = std::map<std::string, Tensor>;

const std::string kUp = "model.layers.0.mlp.up_proj";
const std::string kQ = "model.layers.0.self_attn.q_proj";

constexpr quant::Scheme kGroups{.weight_bits = 4,
                                .symmetric = false,
                                .granularity = quant::Granularity::group,
                                .group_size = 32};
constexpr quant::Scheme kStatic{.activations = quant::Activations::static_tensor};

/// A made-up model as an Ascend folder and as what a conversion made of it, open for changes.
class Conversion {
 public:
  Conversion(const quant::Scheme& scheme, std::string_view to)
      : to_(layout::find_layout(to)), params_(test::params_of(to_, false)) {
    test::write_folder(layout::find_layout("ascend"),
                       test::made_up_model(scheme, DType::f16, {.q_out = 8, .up_out = 16}), from_);
    linears_ = test::convert_folder(from_, to_, out_).run.linears;
  }

  /// "" when the proof accepts the folder, else what it found.
  std::string finding() const {
    const Context ctx{1};
    const ConvertSource source = open_quantized(from_);
    const layout::OutputPlan plan = plan_conversion(read_inventory(ctx, source), source, to_);
    try {
      OutputRecord record;
      const RunPlan run{.out = out_,
                        .outputs = {&plan, 1},
                        .params = &params_,
                        .floats = float_source(*source.checkpoint)};
      verify_output(ctx, run, 0, linears_, out_, record);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::verify_failed) << error.what();
      return error.detail();
    }
    return "";
  }

  void change(const std::function<void(Tensors&)>& change) const {
    test::replace_tensors(out_, change);
  }

 private:
  const layout::Layout& to_;
  ParamMap params_;
  test::TemporaryFolder dir_;
  fs::path from_ = dir_.path() / "from";
  fs::path out_ = dir_.path() / "out";
  std::vector<LinearRecord> linears_;
};

void flip_lowest_bit(Tensor& tensor, std::size_t byte) {
  ASSERT_LT(byte, tensor.bytes().size());
  tensor.bytes()[byte] ^= std::byte{1};
}

/// Flipping one bit of this tensor must be found under this name.
struct Flip {
  quant::Scheme scheme;
  std::string layout;
  std::string tensor;
  std::string found;
};

const Flip kFlips[] = {
    {kGroups, "autoawq", kUp + ".qweight", kUp},
    {kGroups, "autoawq", kUp + ".qzeros", kUp},
    {kGroups, "autoawq", kUp + ".scales", kUp},
    {kGroups, "gptq", kUp + ".qweight", kUp},
    {kGroups, "gptq", kQ + ".bias", kQ},
    {kGroups, "gptq-v2", kUp + ".qzeros", kUp},
    {kGroups, "compressed-tensors", kUp + ".weight_packed", kUp},
    {kGroups, "compressed-tensors", kUp + ".weight_zero_point", kUp},
    {kGroups, "ascend-v1", kUp + ".weight", kUp},
    {kGroups, "ascend-v1", kUp + ".weight_scale", kUp},
    {kGroups, "dequantized", kUp + ".weight", kUp + ".weight"},
    {kGroups, "dequantized", kQ + ".bias", kQ},
    {kGroups, "autoawq", "model.norm.weight", "model.norm.weight"},
    {kGroups, "compressed-tensors", "model.embed_tokens.weight", "model.embed_tokens.weight"},
    {kStatic, "compressed-tensors", kUp + ".weight", kUp},
    {kStatic, "compressed-tensors", kUp + ".input_scale", kUp},
    {kStatic, "compressed-tensors", kUp + ".input_zero_point", kUp},
    {kStatic, "ascend-v1", kUp + ".quant_bias", kUp},
};

TEST(ConversionProof, AcceptsWhatWasMeant) {
  for (const std::string layout :
       {"autoawq", "gptq", "gptq-v2", "compressed-tensors", "ascend-v1", "dequantized"}) {
    EXPECT_EQ(Conversion(kGroups, layout).finding(), "") << layout;
  }
  for (const std::string layout : {"compressed-tensors", "ascend-v1"})
    EXPECT_EQ(Conversion(kStatic, layout).finding(), "") << layout;
}

TEST(ConversionProof, FindsEveryKindOfNumber) {
  for (const Flip& flip : kFlips) {
    SCOPED_TRACE(flip.layout + ": " + flip.tensor);
    const Conversion conversion(flip.scheme, flip.layout);
    conversion.change([&](Tensors& tensors) {
      ASSERT_TRUE(tensors.contains(flip.tensor));
      flip_lowest_bit(tensors.at(flip.tensor), 0);
    });
    const std::string found = conversion.finding();
    const std::string module = flip.found.substr(0, flip.found.rfind(".weight"));
    EXPECT_EQ(found.substr(0, module.size()), module) << found;
  }
}

TEST(ConversionProof, FindsTensorsThatAreNotThereOrTooMany) {
  const Conversion missing(kGroups, "gptq");
  missing.change([](Tensors& tensors) { tensors.erase("model.norm.weight"); });
  EXPECT_EQ(missing.finding(), "model.norm.weight: not found in the files");
  const Conversion added(kGroups, "gptq");
  added.change([](Tensors& tensors) { tensors["model.extra"] = Tensor(DType::f16, {2}); });
  EXPECT_NE(added.finding().find("tensors instead of"), std::string::npos) << added.finding();
  const Conversion wider(kGroups, "compressed-tensors");
  wider.change([](Tensors& tensors) { tensors["model.norm.weight"] = Tensor(DType::f32, {64}); });
  EXPECT_EQ(wider.finding(), "model.norm.weight: type or shape differs");
}

}  // namespace
}  // namespace pare::pipeline
