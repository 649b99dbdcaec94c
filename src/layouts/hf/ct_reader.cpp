// compressed-tensors folders read back: packed and plain whole-number weights.
#include "layouts/hf/checkpoint.h"
#include "layouts/hf/ct.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

namespace pare::layout {
namespace {

constexpr std::array kParts = {kCtPacked, kCtScale,      kCtShape,    kCtZero,
                               kCtGroups, kCtInputScale, kCtInputZero};

bool names_module(const std::string& target, std::string_view module) { return target == module; }

class Reader final : public HfReader {
 public:
  explicit Reader(CtConfig config) : config_(std::move(config)) {}

  std::string_view linear_of(const containers::TensorInfo& tensor) const override {
    const std::string_view name = tensor.name;
    const auto without = [&](std::string_view end) {
      return name.substr(0, name.size() - end.size());
    };
    if (name.ends_with(kCtPacked)) return without(kCtPacked);
    return name.ends_with(kCtWeight) && tensor.dtype == DType::i8 ? without(kCtWeight) : "";
  }

  std::span<const std::string_view> parts() const override { return kParts; }

  quant::QuantizedLinear read(const LinearParts& module, Codes codes) const override {
    refuse_ignored(module);
    const bool packed = module.find(kCtPacked) != nullptr;
    quant::QuantizedLinear q;
    const CtConfigGroup group = packed ? read_packed_sizes(module, q) : read_plain_sizes(module, q);
    q.scheme.weight_bits = group.weight_bits;
    q.scheme.activations = group.activations;
    read_scales(module, group, q);
    read_zeros(module, q);
    read_groups(module, q);
    read_input(module, q);
    if (codes == Codes::leave_out) return q;
    if (packed) {
      read_packed_codes(module, q);
    } else {
      read_plain_codes(module, q);
    }
    return q;
  }

  std::vector<std::string> notes(const LinearParts& /*first*/) const override { return {}; }

 private:
  void refuse_ignored(const LinearParts& module) const {
    const auto named = [&](const std::string& name) { return names_module(name, module.name()); };
    if (std::any_of(config_.ignored.begin(), config_.ignored.end(), named)) {
      module.contradiction("\"ignore\" names it, but its tensors are quantized");
    }
  }

  /// The group of a module: one that names it, else those whose settings its tensors fit. Several
  /// of these must mean the same.
  template <typename Fits>
  CtConfigGroup group_of_module(const LinearParts& module, const Fits& fits) const {
    const bool has_input = module.find(kCtInputScale) != nullptr;
    std::vector<const CtConfigGroup*> found;
    for (const CtConfigGroup& group : config_.groups) {
      const bool by_name =
          std::any_of(group.targets.begin(), group.targets.end(),
                      [&](const std::string& t) { return names_module(t, module.name()); });
      const bool fixed = group.activations == quant::Activations::static_tensor;
      if (fixed != has_input || !fits(group)) continue;
      if (by_name) return group;
      found.push_back(&group);
    }
    if (found.empty()) {
      module.contradiction(
          "no entry of \"config_groups\" fits the types and shapes of its tensors");
    }
    for (const CtConfigGroup* other : found) {
      if (other->activations == found.front()->activations &&
          other->weight_bits == found.front()->weight_bits) {
        continue;
      }
      throw Error(ErrorCode::scheme_not_supported,
                  module.name() + " fits several entries of \"config_groups\"")
          .hint(
              "Pare tells modules apart by full names in \"targets\" and by their tensors, not by "
              "patterns");
    }
    return *found.front();
  }

  static std::int64_t scale_columns(const LinearParts& module) {
    const containers::TensorInfo* scale = module.find(kCtScale);
    const bool matrix = scale != nullptr && scale->shape.rank() == 2;
    return matrix ? scale->shape[1] : 1;
  }

  /// Whether the scales are as many as the strategy says.
  static bool fits_scales(const LinearParts& module, const CtConfigGroup& group, std::int64_t in) {
    const std::int64_t columns = scale_columns(module);
    if (group.strategy != "group" || columns == 0) return columns <= 1;
    return group.group_size > 0 && in % group.group_size == 0 && columns == in / group.group_size;
  }

  CtConfigGroup read_packed_sizes(const LinearParts& module, quant::QuantizedLinear& q) const {
    const Shape& packed = module.expect(kCtPacked, DType::i32, 2).shape;
    const containers::TensorInfo* stated = module.find(kCtShape);
    const bool wide = stated != nullptr && stated->dtype == DType::i64;
    const DType dtype = wide ? DType::i64 : DType::i32;
    const TensorView view = module.read(kCtShape, dtype, {2});
    std::array<std::int64_t, 2> shape{};
    for (std::size_t i = 0; i < 2; ++i) {
      const std::byte* from = view.data.data() + i * size_of(dtype);
      std::int32_t narrow = 0;
      std::memcpy(wide ? static_cast<void*>(&shape[i]) : &narrow, from, size_of(dtype));
      if (!wide) shape[i] = narrow;
    }
    q.out = shape[0];
    q.in = shape[1];
    const auto packs = [&](int bits) {
      return q.in > 0 && q.in <= packed[1] * 8 && words_for(q.in, bits) == packed[1];
    };
    if (q.out != packed[0] || (!packs(4) && !packs(8))) {
      module.contradiction(fmt::format("weight_shape [{}, {}] does not fit weight_packed {}", q.out,
                                       q.in, packed.text()));
    }
    return group_of_module(module, [&](const CtConfigGroup& group) {
      return packs(group.weight_bits) && fits_scales(module, group, q.in);
    });
  }

  CtConfigGroup read_plain_sizes(const LinearParts& module, quant::QuantizedLinear& q) const {
    const Shape& weight = module.expect(kCtWeight, DType::i8, 2).shape;
    q.out = weight[0];
    q.in = weight[1];
    return group_of_module(
        module, [&](const CtConfigGroup& group) { return fits_scales(module, group, q.in); });
  }

  static Shape scale_shape(const LinearParts& module, const CtConfigGroup& group,
                           const quant::QuantizedLinear& q) {
    const std::size_t rank =
        module.find(kCtScale) != nullptr ? module.find(kCtScale)->shape.rank() : 1;
    if (group.strategy == "tensor") return rank == 0 ? Shape{} : Shape{1};
    const std::int64_t groups = group.strategy == "group" ? q.in / group.group_size : 1;
    return rank == 1 && groups == 1 ? Shape{q.out} : Shape{q.out, groups};
  }

  static void read_scales(const LinearParts& module, const CtConfigGroup& group,
                          quant::QuantizedLinear& q) {
    if (group.strategy == "tensor") q.scheme.granularity = quant::Granularity::tensor;
    if (group.strategy == "group") {
      q.scheme.granularity = quant::Granularity::group;
      q.scheme.group_size = group.group_size;
    }
    q.scales = module.floats(kCtScale, scale_shape(module, group, q));
    q.scale_dtype = module.find(kCtScale)->dtype;
  }

  /// Packed down the outputs, or one to a byte in the shape of the scales; none = symmetric.
  static void read_zeros(const LinearParts& module, quant::QuantizedLinear& q) {
    q.zeros.assign(q.scales.size(), 0.0F);
    const containers::TensorInfo* info = module.find(kCtZero);
    if (info == nullptr) return;
    std::vector<std::int8_t> zeros(q.zeros.size());
    if (info->dtype == DType::i8) {
      const TensorView view = module.read(kCtZero, DType::i8, module.find(kCtScale)->shape);
      std::memcpy(zeros.data(), view.data.data(), view.data.size());
    } else if (q.scheme.granularity == quant::Granularity::tensor) {
      module.mismatch(kCtZero, "I8");
    } else {
      const std::int64_t groups = q.scheme.groups(q.in);
      const Shape shape{words_for(q.out, q.scheme.weight_bits), groups};
      unpack_down_columns(module.read(kCtZero, DType::i32, shape).data, q.scheme.weight_bits,
                          {zeros.data(), q.out, groups, groups, 1});
    }
    q.zeros.assign(zeros.begin(), zeros.end());
    const auto is_zero = [](float z) { return z == 0; };
    q.scheme.symmetric = std::all_of(q.zeros.begin(), q.zeros.end(), is_zero);
  }

  static void read_groups(const LinearParts& module, quant::QuantizedLinear& q) {
    if (module.find(kCtGroups) == nullptr) return;
    const TensorView view = module.read(kCtGroups, DType::i32, {q.in});
    q.group_index.resize(static_cast<std::size_t>(q.in));
    std::memcpy(q.group_index.data(), view.data.data(), view.data.size());
    const auto unset = [](std::int32_t g) { return g == -1; };
    if (std::all_of(q.group_index.begin(), q.group_index.end(), unset)) q.group_index.clear();
    const std::int64_t groups = q.scheme.groups(q.in);
    for (std::size_t i = 0; i < q.group_index.size(); ++i) {
      if (q.group_index[i] >= 0 && q.group_index[i] < groups) continue;
      module.contradiction(fmt::format("weight_g_idx puts column {} into group {} of {}", i,
                                       q.group_index[i], groups));
    }
    quant::drop_plain_group_index(q);
  }

  static float read_one(const LinearParts& module, std::string_view part) {
    const bool scalar = module.find(part) != nullptr && module.find(part)->shape.rank() == 0;
    return module.floats(part, scalar ? Shape{} : Shape{1}).front();
  }

  static void read_input(const LinearParts& module, quant::QuantizedLinear& q) {
    const bool fixed = q.scheme.activations == quant::Activations::static_tensor;
    if (!fixed) {
      if (module.find(kCtInputZero) != nullptr)
        module.contradiction("input_zero_point without input_scale");
      return;
    }
    quant::ActivationParams input;
    input.scale = read_one(module, kCtInputScale);
    input.stored_dtype = module.find(kCtInputScale)->dtype;
    if (!(input.scale > 0)) module.contradiction(fmt::format("input_scale is {}", input.scale));
    if (module.find(kCtInputZero) != nullptr) {
      const bool scalar = module.find(kCtInputZero)->shape.rank() == 0;
      const TensorView view = module.read(kCtInputZero, DType::i8, scalar ? Shape{} : Shape{1});
      input.zero_point = static_cast<float>(std::to_integer<std::int8_t>(view.data.front()));
    }
    q.input = input;
  }

  static void read_packed_codes(const LinearParts& module, quant::QuantizedLinear& q) {
    const TensorView words = module.read(kCtPacked, DType::i32, module.find(kCtPacked)->shape);
    q.codes.resize(static_cast<std::size_t>(q.out * q.in));
    unpack_along_rows(words.data, q.scheme.weight_bits, WordOrder::natural,
                      {q.codes.data(), q.out, q.in, q.in, 1});
  }

  static void read_plain_codes(const LinearParts& module, quant::QuantizedLinear& q) {
    const TensorView bytes = module.read(kCtWeight, DType::i8, {q.out, q.in});
    q.codes.resize(bytes.data.size());
    std::memcpy(q.codes.data(), bytes.data.data(), bytes.data.size());
    if (q.scheme.weight_bits == 8) return;
    const auto [low, high] = std::minmax_element(q.codes.begin(), q.codes.end());
    if (*low >= q.scheme.qmin() && *high <= q.scheme.qmax()) return;
    module.contradiction(fmt::format("weight holds codes {} to {}, more than {} bits", *low, *high,
                                     q.scheme.weight_bits));
  }

  CtConfig config_;
};

}  // namespace

std::unique_ptr<QuantizedCheckpoint> open_ct(const std::filesystem::path& folder) {
  const QuantConfig config = read_quant_config(folder);
  if (quant_method(config) != "compressed-tensors") {
    config.refuse("\"quant_method\" is not \"compressed-tensors\"", "");
  }
  return make_hf_checkpoint(containers::open_checkpoint(folder),
                            std::make_unique<Reader>(read_ct_config(config)));
}

}  // namespace pare::layout
