#include "pipeline/output/rewritten.h"

#include "core/error.h"
#include "io/hash.h"
#include "pipeline/output/finite.h"

#include <optional>

namespace pare::pipeline {
namespace {

std::uint64_t hash_of(const TensorView& tensor) {
  const std::vector<float> values = read_floats(tensor);
  return io::xxh3(std::as_bytes(std::span(values)));
}

/// The same of the tensor as the format holds it.
std::uint64_t written_hash(const Output& output, const TensorView& tensor) {
  const DType stored = output.layout->float_dtype.value_or(tensor.dtype);
  if (stored == tensor.dtype) return hash_of(tensor);
  return hash_of(store_floats(read_floats(tensor), stored, tensor.shape).view());
}

/// A float tensor of the files, be it one of its own or the bias of a quantized linear.
std::optional<std::uint64_t> stored_hash(const layout::QuantizedCheckpoint& checkpoint,
                                         const std::string& name) {
  if (const auto tensor = checkpoint.tensor(name)) return hash_of(*tensor);
  constexpr std::string_view kBias = ".bias";
  if (!name.ends_with(kBias)) return std::nullopt;
  const auto stored = checkpoint.linear(name.substr(0, name.size() - kBias.size()));
  if (!stored.has_value() || !stored->linear.bias.has_value()) return std::nullopt;
  return hash_of(stored->linear.bias->view());
}

void note_biases(const Plan& plan, std::int64_t block, const model::PatchedWeights& patches,
                 const Output& output, std::vector<WrittenTensor>& made) {
  for (const LinearEntry& linear : plan.linears) {
    if (linear.block != block || !linear.quantized()) continue;
    const std::string bias = linear.name + ".bias";
    const Tensor* patch = patches.patch(bias);
    if (patch != nullptr) made.push_back({bias, written_hash(output, patch->view())});
  }
}

}  // namespace

void put_made_tensors(const Context& ctx, const Plan& plan, std::int64_t block,
                      const model::PatchedWeights& patches, OutputWriters& writers,
                      std::vector<OutputResult>& results) {
  for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
    const Output& output = plan.outputs[i];
    std::vector<WrittenTensor>& made = results[i].made;
    for (const RewrittenTensor& tensor : output.made) {
      if (tensor.block != block) continue;
      const TensorView view = patches.tensor(tensor.patch);
      refuse_not_finite(ctx, view);
      writers.put_tensor(i, tensor.name, view);
      if (tensor.name == tensor.patch) made.push_back({tensor.name, written_hash(output, view)});
    }
    note_biases(plan, block, patches, output, made);
  }
}

void verify_made(const Output& output, const std::vector<WrittenTensor>& made,
                 const std::filesystem::path& folder) {
  if (made.empty()) return;
  const auto checkpoint = output.layout->open(folder);
  for (const WrittenTensor& tensor : made) {
    if (stored_hash(*checkpoint, tensor.name) == tensor.values) continue;
    throw Error(ErrorCode::verify_failed, tensor.name + ": not as smoothing made it")
        .hint("nothing was kept; the disk or the program is at fault, please report it");
  }
}

}  // namespace pare::pipeline
