// GPTQ as AutoGPTQ's files hold it: zero points less one.
// Source: docs/formats/gptq.md
#include "layouts/hf/gptq.h"

#include <array>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr GptqVersion kVersion = GptqVersion::v1;

constexpr std::array kParams = {
    kHfParams[0],
    ParamSpec{.name = "refit_zeros",
              .type = ParamType::flag,
              .help = "quantize groups whose zero point has no place again, with one that has"},
};

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& /*params*/) {
  return declare_hf(plan, gptq_layout(kVersion));
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  return create_gptq(plan, kVersion, folder, params);
}

std::string config_patch(const OutputPlan& plan) { return gptq_config_patch(plan, kVersion); }

bool probe(const fs::path& folder) noexcept { return is_gptq(folder, kVersion); }

/// Zeros count from the lowest code; the first that v1 has a place for is 1.
std::int64_t adapt(quant::QuantizedLinear& linear, const ParamMap& params) {
  return params.flag("refit_zeros") ? refit_zeros(linear, linear.scheme.qmin() + 1) : 0;
}

}  // namespace

extern const Layout layout_gptq;
constinit const Layout layout_gptq = {
    .id = "gptq",
    .summary = "4- and 8-bit weights as AutoGPTQ files hold them; zero points less one",
    .params = kParams,
    .refuses = refuse_gptq,
    .check = check_gptq,
    .declare = declare,
    .create = create,
    .config_patch = config_patch,
    .probe = probe,
    .open = open_gptq,
    .norm_bias = NormBias::none,
    .scale_dtype = DType::f16,
    .float_dtype = DType::f16,
    .ms_to_vllm_tool = "gptq",
    .adapt = adapt,
};

}  // namespace pare::layout
