// A layout of files on disk: how quantized linears are written in it, and read back.
// One file layout_<id>.cpp beside its family and one line in layouts.def each.
#pragma once

#include "layouts/output_plan.h"
#include "pare/context.h"
#include "pare/job.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// Called between the pieces of a large tensor: what was read of it may leave memory.
using GiveBack = std::function<void()>;

/// Takes a model's tensors one by one; each exactly once. Whoever gives them has held
/// them against the plan (layouts/checked_writer.h): a writer need not look again.
/// Threads: one call at a time, unless `concurrent`: then calls for different tensors and linears
/// may run at the same time and in any order, but for `finish`, and the files are the same.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual bool concurrent() const noexcept { return false; }
  /// Bytes of a float tensor, in the type of the plan. May be mapped; read once, in order.
  virtual void put_tensor(const std::string& name, const TensorView& tensor,
                          const GiveBack& give_back) = 0;
  virtual void put_linear(const quant::QuantizedLinear& linear) = 0;
  /// Completes the files. Returns their names, relative to the folder.
  virtual std::vector<std::string> finish() = 0;
};

/// A quantized linear as the files hold it. `effective_bias` [O] is what a loader adds in the end:
/// for static activations (quant_bias + zero_point * sum(codes)) * deq_scale, else the float bias;
/// empty when there is nothing to add. `scale_bias` [O, 1 or 16] is what devices with 4-bit weights
/// and 8-bit activations correct their sums with; empty when the files hold none.
struct LoadedLinear {
  quant::QuantizedLinear linear;
  std::vector<float> effective_bias;
  std::vector<float> scale_bias;
};

/// A folder written in a layout, read back from nothing but its files.
class QuantizedCheckpoint {
 public:
  virtual ~QuantizedCheckpoint() = default;
  /// Module names of the quantized linears, sorted.
  virtual std::vector<std::string> linears() const = 0;
  /// Names of the float tensors, sorted; biases of quantized linears belong to `linear`.
  virtual std::vector<std::string> tensors() const = 0;
  /// nullopt when the module is not quantized. Errors: bad_description, tensor_mismatch.
  virtual std::optional<LoadedLinear> linear(std::string_view module) const = 0;
  /// The header of what `linear` will give. Layouts whose headers, zeros and groups say it read no
  /// codes; the default asks `linear`.
  /// Errors: as `linear`, and tensor_missing when the module is not quantized.
  virtual quant::LinearHeader header(std::string_view module) const;
  /// nullopt when there is no such float tensor. Valid as long as the checkpoint.
  virtual std::optional<TensorView> tensor(std::string_view name) const = 0;
  /// Gives mapped pages of a tensor or of a module's tensors back.
  virtual void release(std::string_view name) const noexcept = 0;
  /// All tensors as the files hold them, under their full names.
  virtual std::shared_ptr<const containers::TensorSource> stored() const = 0;
  /// What people should know about the files, such as a label that they contradict; one line each.
  virtual std::vector<std::string> notes() const { return {}; }
};

/// What a layout makes of a norm's bias, which smoothing leaves behind.
enum class NormBias : std::uint8_t {
  none,       // no place: smoothing must do without
  plain,      // norm.weight and norm.bias
  duplicated  // and both again as norm.module.weight and norm.module.bias, tagged as quantized
};

/// What a layout makes of a head that is tied to the embedding and stays float.
enum class TiedHead : std::uint8_t {
  once,   // nothing: engines take the embedding, as config.json says
  copied  // a tensor of its own as well: engines look for it under its own name
};

struct Layout {
  std::string_view id;
  std::string_view summary;
  std::span<const ParamSpec> params;
  /// "" when the scheme has a place in this layout, else the reason it has none.
  std::string (*refuses)(const quant::Scheme& scheme);
  /// "" when every item of the plan has a place in this layout, else a reason that names the module
  /// or tensor. Looks at names, types and shapes only.
  std::string (*check)(const OutputPlan& plan);
  /// Every tensor that will be written, as it will be written, in the order of the plan.
  std::vector<containers::TensorInfo> (*declare)(const OutputPlan& plan, const ParamMap& params);
  /// Begins the files in `folder`, which must exist. The plan must have passed `check`.
  /// Errors: output_not_writable.
  std::unique_ptr<Writer> (*create)(const OutputPlan& plan, const std::filesystem::path& folder,
                                    const ParamMap& params);
  /// Keys to put into config.json, as the text of a JSON object; null = none. What an earlier
  /// quantization left there is gone before.
  std::string (*config_patch)(const OutputPlan& plan);
  /// Whether a folder holds this layout; looks at file names and, where these say too little, at
  /// the configuration beside the weights.
  bool (*probe)(const std::filesystem::path& folder) noexcept;
  /// Errors: bad_description, scheme_not_supported, and those of the container.
  std::unique_ptr<QuantizedCheckpoint> (*open)(const std::filesystem::path& folder);
  /// The tensors of a folder as its files hold them, without a look at what they mean; null = those
  /// that containers::open_checkpoint finds.
  std::unique_ptr<containers::TensorSource> (*open_weights)(const std::filesystem::path& folder) =
      nullptr;
  NormBias norm_bias = NormBias::none;
  TiedHead tied_head = TiedHead::once;
  /// The type that weight scales must be exact in; nullopt = that of the source's weight.
  std::optional<DType> scale_dtype = std::nullopt;
  /// The type that float tensors and biases are written in; nullopt = that of the source.
  std::optional<DType> float_dtype = std::nullopt;
  /// Writes plain float weights: `open` finds float tensors and no quantized linears, and `probe`
  /// claims no folder.
  bool plain_floats = false;
  /// The files name the parts of the model: it needs a config.json of an architecture Pare knows.
  bool needs_architecture = false;
  /// Holds the weights of linears with int8 activations, and nothing about how these are rounded:
  /// readers find linears with float activations.
  bool weights_only = false;
  /// What msModelSlim's ms_to_vllm.py calls it in --target-tool; "" = it does not write it.
  std::string_view ms_to_vllm_tool = {};
  /// What people should know before the files are written, one line each; null = nothing.
  std::vector<std::string> (*notes)(const OutputPlan& plan) = nullptr;
  /// What contradicts itself in a linear that was read back: values that follow from its codes and
  /// scales and are not as if computed from them again; "" = nothing. Null = nothing follows.
  std::string (*contradiction)(const LoadedLinear& linear) = nullptr;
  /// Changes a linear where the layout has no place for it as it is and `params` allow that; null =
  /// never. Returns the number of groups changed.
  std::int64_t (*adapt)(quant::QuantizedLinear& linear, const ParamMap& params) = nullptr;
};

std::span<const Layout* const> layouts() noexcept;
/// Errors: unknown_entry with a near match.
const Layout& find_layout(std::string_view id);
/// The layout of a folder, or nullptr.
const Layout* layout_of(const std::filesystem::path& folder) noexcept;

/// What people should know before the plan is carried out; one line each.
std::vector<std::string> notes_of(const OutputPlan& plan);

/// Bytes all output tensors will take (headers left out): for plans and --dry-run.
std::size_t output_bytes(const OutputPlan& plan, const ParamMap& params);

}  // namespace pare::layout
