// The pickled dictionaries of msModelSlim's first releases: one .npy file per kind of tensor, and a
// description beside them. Source: docs/formats/ascend.md
#include "containers/npy/reader.h"
#include "containers/npy/writer.h"
#include "layouts/ascend/checkpoint.h"
#include "layouts/ascend/math/contradiction.h"
#include "layouts/ascend/npy_folder.h"
#include "layouts/ascend/npy_names.h"
#include "layouts/ascend/safetensors_files.h"
#include "layouts/ascend/writer.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr std::array kParams = {
    ParamSpec{.name = "npy_values",
              .type = ParamType::choice,
              .default_value = "numpy",
              .choices = "numpy|torch",
              .help = "what the dictionaries hold: numpy arrays (bf16 widened to f32) or torch "
                      "tensors"},
};

containers::NpyValues values_of(const ParamMap& params) {
  return params.text("npy_values", "numpy") == "torch" ? containers::NpyValues::torch
                                                       : containers::NpyValues::numpy;
}

std::string refuses(const quant::Scheme& scheme) {
  if (scheme.form == quant::CodeForm::two_stage) {
    return "the npy files have no place for a second stage of scales, and no loader would look for "
           "one; choose --format ascend or ascend-v1";
  }
  return refuse_scheme(scheme);
}

std::string check(const OutputPlan& plan) {
  const std::string reason = refuse_plan(plan, Int4::unpaired);
  if (!reason.empty()) return reason;
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value() || !entry.linear->has_exponent) continue;
    return fmt::format(
        "{}: the npy files have no place for the power its codes are linear in, and without it "
        "they mean nothing; choose --format ascend, or leave out --nonuniform",
        entry.linear->name);
  }
  for (const DeclaredTensor& tensor : declare_items(plan, Int4::unpaired)) {
    if (npy_place(tensor).has_value()) continue;
    return fmt::format(
        "tensor \"{}\": the npy files hold float tensors by the name of their module "
        "and have no place for this name; choose another --format",
        tensor.info.name);
  }
  return "";
}

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& params) {
  std::vector<containers::TensorInfo> infos = infos_of(declare_items(plan, Int4::unpaired));
  if (values_of(params) == containers::NpyValues::torch) return infos;
  for (containers::TensorInfo& info : infos) {
    if (info.dtype == DType::bf16) info.dtype = DType::f32;
  }
  return infos;
}

/// Opens a file when its first tensor comes; empty files are never made.
class NpySink final : public TensorSink {
 public:
  NpySink(fs::path folder, containers::NpyValues values)
      : folder_(std::move(folder)), values_(values) {}

  void put(const DeclaredTensor& tensor, const TensorView& value,
           const GiveBack& give_back) override {
    const std::optional<NpyPlace> place = npy_place(tensor);
    if (!place.has_value()) {
      throw Error(ErrorCode::internal, fmt::format("{} has no npy file", tensor.info.name));
    }
    writer(place->file).add(place->key, value, give_back);
  }

  std::vector<std::string> finish() override {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kNpyFileCount; ++i) {
      if (writers_[i] == nullptr) continue;
      writers_[i]->finish();
      names.push_back(file_name(i));
    }
    return names;
  }

 private:
  static std::string file_name(std::size_t index) {
    return fmt::format("{}.npy", kNpyFileNames[index]);
  }

  containers::NpyDictWriter& writer(NpyFile file) {
    const auto index = static_cast<std::size_t>(file);
    if (writers_[index] == nullptr) {
      writers_[index] = std::make_unique<containers::NpyDictWriter>(folder_ / file_name(index),
                                                                    values_, kWeightMode);
    }
    return *writers_[index];
  }

  fs::path folder_;
  containers::NpyValues values_;
  std::array<std::unique_ptr<containers::NpyDictWriter>, kNpyFileCount> writers_;
};

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                               const ParamMap& params) {
  const std::vector<DeclaredTensor> tensors = declare_items(plan, Int4::unpaired);
  const fs::path path = folder / typed_description_name(plan.scheme_tag);
  return make_planned_writer(plan, Int4::unpaired,
                             std::make_unique<NpySink>(folder, values_of(params)),
                             {path, describe(plan, tensors)});
}

bool probe(const fs::path& folder) noexcept {
  return containers::npy_dict_exists(folder / "quant_weight.npy");
}

std::unique_ptr<QuantizedCheckpoint> open(const fs::path& folder) {
  std::unique_ptr<containers::TensorSource> source = open_npy_folder(folder);
  const std::vector<std::string> found = typed_descriptions(folder);
  if (found.size() == 1) {
    const fs::path path = folder / found.front();
    const Description description = read_description(path);
    return make_checkpoint(std::move(source), description, Int4::unpaired, path);
  }
  const Description description = infer_description(*source);
  return make_checkpoint(std::move(source), description, Int4::unpaired, folder);
}

}  // namespace

extern const Layout layout_npy;
constinit const Layout layout_npy = {
    .id = "npy",
    .summary = "pickled dictionaries in .npy files, one per kind of tensor",
    .params = kParams,
    .refuses = refuses,
    .check = check,
    .declare = declare,
    .create = create,
    .config_patch = nullptr,
    .probe = probe,
    .open = open,
    .open_weights = open_npy_folder,
    .norm_bias = NormBias::plain,
    .tied_head = TiedHead::copied,
    .contradiction = contradiction,
};

}  // namespace pare::layout
