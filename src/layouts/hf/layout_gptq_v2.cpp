// GPTQ as GPTQModel's second format holds it: zero points as they are.
// Source: docs/formats/gptq.md
#include "layouts/hf/gptq.h"

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr GptqVersion kVersion = GptqVersion::v2;

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& /*params*/) {
  return declare_hf(plan, gptq_layout(kVersion));
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  return create_gptq(plan, kVersion, folder, params);
}

std::string config_patch(const OutputPlan& plan) { return gptq_config_patch(plan, kVersion); }

bool probe(const fs::path& folder) noexcept { return is_gptq(folder, kVersion); }

}  // namespace

extern const Layout layout_gptq_v2;
constinit const Layout layout_gptq_v2 = {
    .id = "gptq-v2",
    .summary = "4- and 8-bit weights in GPTQModel's second format; any zero point",
    .params = kHfParams,
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
};

}  // namespace pare::layout
