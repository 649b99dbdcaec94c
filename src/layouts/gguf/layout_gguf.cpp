// GGUF, the files of llama.cpp: codes and scales as Q4_0, Q4_1 and Q8_0 blocks, with the model's
// sizes and its tokenizer in the same file.
// Source: docs/formats/gguf.md
#include "containers/gguf/reader.h"
#include "pare/error.h"
#include "layouts/gguf/blocks.h"
#include "layouts/gguf/checkpoint.h"
#include "layouts/gguf/metadata.h"
#include "layouts/gguf/model.h"
#include "layouts/gguf/writer.h"
#include "layouts/gguf/source.h"
#include "layouts/gguf/tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <set>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr std::array kParams = {
    ParamSpec{.name = "float_type",
              .type = ParamType::choice,
              .default_value = "auto",
              .choices = "auto|f16|bf16|f32",
              .help = "type of embedding, head and linears that stay float in a GGUF file "
                      "(auto: as in the source; norms and biases are F32)"},
};

std::string refuses(const quant::Scheme& scheme) {
  if (scheme.form != quant::CodeForm::uniform) {
    return "GGUF files hold codes times one scale, no sparse or two-stage codes; choose --format "
           "ascend-v1";
  }
  if (scheme.granularity == quant::Granularity::tensor) {
    return "GGUF files have scales per row at least; leave --mm-tensor out";
  }
  if (scheme.weight_bits == 8 && !scheme.symmetric) {
    return "GGUF files have no place for the zero points of 8-bit weights; choose --format gptq-v2 "
           "or compressed-tensors, or symmetric weights";
  }
  const bool blocks = scheme.granularity != quant::Granularity::group ||
                      scheme.group_size % kBlockColumns == 0;
  if (blocks) return "";
  return fmt::format("GGUF blocks have 32 columns, which groups of {} do not fill; choose 32, 64, "
                     "128 or 256, or --format compressed-tensors",
                     scheme.group_size);
}

std::string check_linear(const quant::LinearHeader& linear, const GgufModel& model) {
  const std::string reason = refuses(linear.scheme);
  if (!reason.empty()) return fmt::format("{}: {}", linear.name, reason);
  if (linear.has_exponent) {
    return linear.name + ": GGUF files have no place for the power its codes are linear in; choose "
                         "--format ascend, or leave out --nonuniform";
  }
  if (linear.act_order) {
    return linear.name + ": GGUF files have no place for the order of its columns (act-order); "
                         "choose --format gptq, gptq-v2 or compressed-tensors";
  }
  if (linear.in % kBlockColumns != 0 ||
      linear.in % linear.scheme.group_columns(linear.in) != 0) {
    return fmt::format(
        "{} has {} inputs, which blocks of 32 and its groups do not divide; keep it with "
        "--disable-names, or choose --format compressed-tensors",
        linear.name, linear.in);
  }
  if (model.find(linear.name) != nullptr) return "";
  return linear.name + " has no name in GGUF files of this architecture";
}

/// Vectors and matrices of floats that the architecture has.
std::string check_tensor(const containers::TensorInfo& tensor, const GgufModel& model) {
  if (model.find_of_tensor(tensor.name) == nullptr) {
    return tensor.name + " has no name in GGUF files of this architecture; choose --format "
                         "compressed-tensors";
  }
  const std::size_t rank = tensor.shape.rank();
  if (is_weight_float(tensor.dtype) && (rank == 1 || rank == 2) && tensor.shape.numel() > 0) {
    return "";
  }
  return fmt::format("{} is {} {}; GGUF files take vectors and matrices of floats", tensor.name,
                     name_of(tensor.dtype), tensor.shape.text());
}

/// llama.cpp refuses a file with tensors that it does not ask for.
std::string check_bias(const std::string& module, const GgufModel& model) {
  if (model.traits().all_biases) return "";
  if (model.find(module)->may_have_bias) return "";
  return fmt::format("llama.cpp's {} has no place for the bias of {}; choose --format "
                     "compressed-tensors",
                     model.traits().architecture, module);
}

/// Heads whose rows are reordered must divide the rows.
std::string check_heads(const std::string& module, std::int64_t rows, const GgufModel& model) {
  const std::int64_t heads = model.find(module)->rotary_heads;
  if (heads == 0 || (rows % heads == 0 && rows / heads % 2 == 0)) return "";
  return fmt::format("{} has {} rows, which are no {} heads of rotary pairs", module, rows, heads);
}

std::string check_entry(const OutputEntry& entry, const GgufModel& model) {
  if (entry.linear.has_value()) {
    const quant::LinearHeader& linear = *entry.linear;
    std::string reason = check_linear(linear, model);
    if (reason.empty()) reason = check_heads(linear.name, linear.out, model);
    if (!reason.empty() || !linear.bias_dtype.has_value()) return reason;
    return check_bias(linear.name, model);
  }
  const containers::TensorInfo& tensor = entry.tensor;
  const std::string reason = check_tensor(tensor, model);
  if (!reason.empty()) return reason;
  const std::string module = model::module_of(tensor.name);
  if (tensor.name.ends_with(".bias")) {
    const std::string unwanted = check_bias(module, model);
    if (!unwanted.empty()) return unwanted;
  }
  return check_heads(module, tensor.shape[0], model);
}

std::string check(const OutputPlan& plan) {
  try {
    const GgufModel model(plan.source);
    if (std::string reason = model.refuses(); !reason.empty()) return reason;
    for (const OutputEntry& entry : plan.entries) {
      if (std::string reason = check_entry(entry, model); !reason.empty()) return reason;
    }
    return "";
  } catch (const Error& error) {
    const bool told = error.kind() == ErrorKind::unsupported || error.kind() == ErrorKind::not_found;
    if (!told) throw;
    return "GGUF files need a config.json of an architecture that Pare and llama.cpp know: " +
           error.detail();
  }
}

std::vector<containers::TensorInfo> declare(const OutputPlan& plan, const ParamMap& params) {
  std::vector<containers::TensorInfo> tensors;
  for (const OutputEntry& entry : plan.entries) {
    if (!entry.linear.has_value()) {
      tensors.push_back(
          {entry.tensor.name, gguf_float_dtype(entry.tensor, params), entry.tensor.shape});
      continue;
    }
    tensors.push_back(gguf_linear_info(*entry.linear));
    if (!entry.linear->bias_dtype.has_value()) continue;
    tensors.push_back({entry.linear->name + ".bias", DType::f32, {entry.linear->out}});
  }
  const auto factors = static_cast<std::int64_t>(rotary_factors(GgufModel(plan.source)).size());
  if (factors > 0) tensors.push_back({std::string(kRotaryFactors), DType::f32, {factors}});
  return tensors;
}

std::unique_ptr<Writer> create(const OutputPlan& plan, const fs::path& folder,
                                     const ParamMap& params) {
  return make_gguf_writer(plan, GgufModel(plan.source), folder, params);
}

bool probe(const fs::path& folder) noexcept {
  try {
    return !gguf_files(folder).empty();
  } catch (const std::exception&) {
    return false;
  }
}

std::unique_ptr<containers::TensorSource> open_weights(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const std::string& name : gguf_files(folder))
    files.push_back(folder / name);
  return containers::open_gguf_files(files);
}

std::vector<std::string> notes(const OutputPlan& plan) {
  std::vector<std::string> notes = model_notes(GgufModel(plan.source));
  for (std::string& note : tokenizer_notes(plan.source))
    notes.push_back(std::move(note));
  return notes;
}

}  // namespace

extern const Layout layout_gguf;
constinit const Layout layout_gguf = {
    .id = "gguf",
    .summary = "one file for llama.cpp: Q4_0, Q4_1 and Q8_0 blocks, tokenizer and sizes included",
    .params = kParams,
    .refuses = refuses,
    .check = check,
    .declare = declare,
    .create = create,
    .config_patch = nullptr,
    .probe = probe,
    .open = open_gguf,
    .open_weights = open_weights,
    .norm_bias = NormBias::none,
    .scale_dtype = DType::f16,
    .needs_architecture = true,
    .weights_only = true,
    .notes = notes,
};

}  // namespace pare::layout
