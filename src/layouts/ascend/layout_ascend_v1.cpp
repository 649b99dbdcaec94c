// Version 1 of Ascend's layout, which vLLM-Ascend finds by the name of its description: 4-bit codes
// two to a byte. Source: docs/formats/ascend.md
#include "layouts/ascend/checkpoint.h"
#include "layouts/ascend/math/contradiction.h"
#include "layouts/ascend/safetensors_files.h"
#include "layouts/ascend/writer.h"
#include "pare/error.h"

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDescriptionName = "quant_model_description.json";

std::string check(const OutputPlan& plan) { return refuse_plan(plan, Int4::paired); }

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& /*params*/) {
  return infos_of(declare_items(plan, Int4::paired));
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  const std::vector<DeclaredTensor> tensors = declare_items(plan, Int4::paired);
  Description description = describe(plan, tensors);
  description.version = kVersion;
  description.group_size = plan.group_size;
  return make_planned_writer(plan, Int4::paired,
                             make_safetensors_sink(folder, plan.scheme_tag, tensors, params),
                             {folder / kDescriptionName, std::move(description)});
}

bool probe(const fs::path& folder) noexcept {
  std::error_code unreadable;
  return fs::exists(folder / kDescriptionName, unreadable) && holds_weights(folder);
}

std::unique_ptr<QuantizedCheckpoint> open(const fs::path& folder) {
  const fs::path path = folder / kDescriptionName;
  const Description description = read_description(path);
  if (description.version != kVersion) {
    throw Error(ErrorCode::bad_description,
                "\"version\" is \"" + description.version + "\", Pare reads \"1.0.0\"")
        .at(path.string())
        .hint(
            "it decides how 4-bit codes lie in their bytes; convert the model with the program "
            "that wrote it");
  }
  return make_checkpoint(open_weights(folder, description.scheme_tag), description, Int4::paired,
                         path);
}

}  // namespace

extern const Layout layout_ascend_v1;
constinit const Layout layout_ascend_v1 = {
    .id = "ascend-v1",
    .summary = "safetensors as vLLM-Ascend finds them; 4-bit codes two to a byte",
    .params = kSafetensorsParams,
    .refuses = refuse_scheme,
    .check = check,
    .declare = declare,
    .create = create,
    .config_patch = nullptr,
    .probe = probe,
    .open = open,
    .norm_bias = NormBias::plain,
    .tied_head = TiedHead::copied,
    .contradiction = contradiction,
};

}  // namespace pare::layout
