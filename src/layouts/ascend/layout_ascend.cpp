// The first layout of Ascend's model compression tools ("safe_tensor"), which MindIE serves: type
// in both file names, 4-bit codes one to a byte. Source: docs/formats/ascend.md
#include "io/json.h"
#include "layouts/ascend/checkpoint.h"
#include "layouts/ascend/math/contradiction.h"
#include "layouts/ascend/safetensors_files.h"
#include "layouts/ascend/writer.h"
#include "pare/error.h"

#include <fmt/format.h>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

std::string check(const OutputPlan& plan) { return refuse_plan(plan, Int4::unpaired); }

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& /*params*/) {
  return infos_of(declare_items(plan, Int4::unpaired));
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  const std::vector<DeclaredTensor> tensors = declare_items(plan, Int4::unpaired);
  const fs::path path = folder / typed_description_name(plan.scheme_tag);
  return make_planned_writer(plan, Int4::unpaired,
                             make_safetensors_sink(folder, plan.scheme_tag, tensors, params),
                             {path, describe(plan, tensors)});
}

std::string config_patch(const OutputPlan& plan) {
  const io::Json details = {
      {"group_size", plan.group_size}, {"kv_quant_type", nullptr}, {"fa_quant_type", nullptr}};
  return io::Json{{"quantize", lower_case(plan.scheme_tag)}, {"quantization_config", details}}
      .dump();
}

bool probe(const fs::path& folder) noexcept {
  return !typed_descriptions(folder).empty() && holds_weights(folder);
}

std::unique_ptr<QuantizedCheckpoint> open(const fs::path& folder) {
  const std::vector<std::string> found = typed_descriptions(folder);
  if (found.empty()) {
    throw Error(ErrorCode::file_not_found, "no quant_model_description_*.json").at(folder.string());
  }
  if (found.size() > 1) {
    throw Error(ErrorCode::bad_description,
                fmt::format("several descriptions: {} and {}", found[0], found[1]))
        .at(folder.string())
        .hint("keep one quantized model per folder");
  }
  const fs::path path = folder / found.front();
  Description description = read_description(path);
  if (description.group_size == 0) description.group_size = group_size_beside(folder);
  return make_checkpoint(open_weights(folder, description.scheme_tag), description, Int4::unpaired,
                         path);
}

}  // namespace

extern const Layout layout_ascend;
constinit const Layout layout_ascend = {
    .id = "ascend",
    .summary = "safetensors with the type in every name, for MindIE; 4-bit codes one to a byte",
    .params = kSafetensorsParams,
    .refuses = refuse_scheme,
    .check = check,
    .declare = declare,
    .create = create,
    .config_patch = config_patch,
    .probe = probe,
    .open = open,
    .norm_bias = NormBias::duplicated,
    .tied_head = TiedHead::copied,
    .contradiction = contradiction,
};

}  // namespace pare::layout
