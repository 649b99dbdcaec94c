// GPTQ folders read back: AutoGPTQ's and GPTQModel's as well as our own.
#include "layouts/hf/checkpoint.h"
#include "layouts/hf/config.h"
#include "layouts/hf/gptq.h"
#include "layouts/hf/values.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace pare::layout {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCodes = ".qweight";
constexpr std::string_view kZeros = ".qzeros";
constexpr std::string_view kScales = ".scales";
constexpr std::string_view kGroups = ".g_idx";
constexpr std::array kParts = {kCodes, kZeros, kScales, kGroups};

class Reader final : public HfReader {
 public:
  explicit Reader(const QuantConfig& config)
      : group_size_(config.integer("group_size", "", -1)),
        symmetric_(config.flag("sym", true)),
        mixed_(config.json().contains("dynamic")),
        version_(checkpoint_format(config, "gptq") == "gptq_v2" ? GptqVersion::v2
                                                                : GptqVersion::v1) {}

  std::string_view linear_of(const containers::TensorInfo& tensor) const override {
    const std::string_view name = tensor.name;
    return name.ends_with(kCodes) ? name.substr(0, name.size() - kCodes.size()) : "";
  }

  std::span<const std::string_view> parts() const override { return kParts; }

  quant::QuantizedLinear read(const LinearParts& module, Codes codes) const override {
    const containers::TensorInfo& scales = module.expect_floats(kScales, 2);
    const std::int64_t groups = scales.shape[0];
    quant::QuantizedLinear q;
    read_sizes(module, q);
    read_granularity(module, groups, q);
    read_groups(module, groups, q);
    q.scale_dtype = scales.dtype;
    q.scales = by_rows(module.floats(kScales, scales.shape), groups, q.out);
    read_zeros(module, groups, q);
    if (codes == Codes::leave_out) return q;
    const Shape& shape = module.find(kCodes)->shape;
    const TensorView words = module.read(kCodes, DType::i32, shape);
    unpack_down_columns(words.data, q.scheme.weight_bits, input_grid(q));
    return q;
  }

  std::vector<std::string> notes(const LinearParts& first) const override {
    const quant::QuantizedLinear q = read(first, Codes::leave_out);
    const GptqVersion found = version_of(first, q);
    if (found != version_) {
      const bool v1 = version_ == GptqVersion::v1;
      return {
          fmt::format("the files say {} and hold the zeros of {} (every word 0x{:08X}): read as "
                      "the latter; programs that trust the label compute something else",
                      v1 ? "gptq" : "gptq_v2", v1 ? "gptq_v2" : "gptq",
                      symmetric_word(found, q.scheme.weight_bits))};
    }
    if (!symmetric_ || q.scheme.symmetric) return {};
    return {
        "the files say sym: true and hold other zeros: read as they are; kernels that take "
        "sym for granted compute something else"};
  }

 private:
  /// Bits from the two tensors whose sizes differ by them alone; the configuration may name
  /// others for some modules.
  void read_sizes(const LinearParts& module, quant::QuantizedLinear& q) const {
    const Shape& weight = module.expect(kCodes, DType::i32, 2).shape;
    const Shape& zeros = module.expect(kZeros, DType::i32, 2).shape;
    const Shape& scales = module.find(kScales)->shape;
    q.out = scales[1];
    int bits = 0;
    for (const int b : {4, 8}) {
      if (words_for(q.out, b) == zeros[1] && q.out % (32 / b) == 0) bits = b;
    }
    if (bits == 0 || zeros[0] != scales[0]) {
      module.mismatch(kZeros, fmt::format("[{}, {}] for 4 bits or [{}, {}] for 8", scales[0],
                                          words_for(q.out, 4), scales[0], words_for(q.out, 8)));
    }
    if (weight[1] != q.out) module.mismatch(kCodes, fmt::format("[I * bits / 32, {}]", q.out));
    q.scheme.weight_bits = bits;
    q.in = weight[0] * (32 / bits);
  }

  void read_granularity(const LinearParts& module, std::int64_t groups,
                        quant::QuantizedLinear& q) const {
    if (groups == 1 && group_size_ == -1) return;
    const std::int64_t columns = q.in / groups;
    if (q.in % groups != 0 || (group_size_ > 0 && q.in % group_size_ != 0)) {
      module.contradiction(
          fmt::format("{} inputs do not divide into {} groups of one size; such "
                      "files are not read",
                      q.in, groups));
    }
    q.scheme.granularity = quant::Granularity::group;
    q.scheme.group_size = columns;
    if (mixed_ || group_size_ == columns || (group_size_ == -1 && groups == 1)) return;
    module.contradiction(
        fmt::format("group_size is {}, but {} scales per row for {} inputs mean groups of {}",
                    group_size_, groups, q.in, columns));
  }

  static void read_groups(const LinearParts& module, std::int64_t groups,
                          quant::QuantizedLinear& q) {
    if (module.find(kGroups) == nullptr) return;
    const TensorView view = module.read(kGroups, DType::i32, {q.in});
    q.group_index.resize(static_cast<std::size_t>(q.in));
    std::memcpy(q.group_index.data(), view.data.data(), view.data.size());
    const auto nothing = [](std::int32_t g) { return g == 0; };
    if (std::all_of(q.group_index.begin(), q.group_index.end(), nothing)) {
      q.group_index.clear();  // never filled in: some programs leave it so without act-order
      return;
    }
    std::vector<std::int64_t> columns(static_cast<std::size_t>(groups));
    for (std::size_t i = 0; i < q.group_index.size(); ++i) {
      const std::int64_t group = q.group_index[i];
      if (group < 0 || group >= groups) {
        module.contradiction(
            fmt::format("g_idx puts column {} into group {} of {}", i, group, groups));
      }
      ++columns[static_cast<std::size_t>(group)];
    }
    const std::int64_t expected = q.scheme.group_columns(q.in);
    const auto odd = std::find_if(columns.begin(), columns.end(),
                                  [&](std::int64_t count) { return count != expected; });
    if (odd != columns.end()) {
      module.contradiction(fmt::format("g_idx gives group {} {} columns instead of {}",
                                       odd - columns.begin(), *odd, expected));
    }
    quant::drop_plain_group_index(q);
  }

  static TensorView zero_words(const LinearParts& module, const quant::QuantizedLinear& q) {
    const std::int64_t groups = q.scheme.groups(q.in);
    return module.read(kZeros, DType::i32, {groups, words_for(q.out, q.scheme.weight_bits)});
  }

  /// Every field half the range, or one less: what symmetric weights have.
  static std::uint32_t symmetric_word(GptqVersion version, int bits) noexcept {
    const std::uint32_t eight = bits == 4 ? 0x88888888U : 0x80808080U;
    const std::uint32_t seven = bits == 4 ? 0x77777777U : 0x7F7F7F7FU;
    return version == GptqVersion::v1 ? seven : eight;
  }

  GptqVersion version_of(const LinearParts& module, const quant::QuantizedLinear& q) const {
    if (!symmetric_) return version_;
    const GptqVersion other = version_ == GptqVersion::v1 ? GptqVersion::v2 : GptqVersion::v1;
    const std::uint32_t word = symmetric_word(other, q.scheme.weight_bits);
    const TensorView words = zero_words(module, q);
    for (std::size_t at = 0; at < words.data.size(); at += sizeof word) {
      if (std::memcmp(words.data.data() + at, &word, sizeof word) != 0) return version_;
    }
    return other;
  }

  void read_zeros(const LinearParts& module, std::int64_t groups, quant::QuantizedLinear& q) const {
    const TensorView words = zero_words(module, q);
    std::vector<std::int8_t> fields(q.scales.size());
    unpack_along_rows(words.data, q.scheme.weight_bits, WordOrder::natural,
                      {fields.data(), groups, q.out, 1, groups});
    const float more = version_of(module, q) == GptqVersion::v1 ? 1.0F : 0.0F;
    q.zeros.resize(fields.size());
    for (std::size_t i = 0; i < fields.size(); ++i)
      q.zeros[i] = static_cast<float>(fields[i]) + more;
    q.scheme.symmetric =
        std::all_of(q.zeros.begin(), q.zeros.end(), [](float z) { return z == 0; });
  }

  std::int64_t group_size_;
  bool symmetric_;
  bool mixed_;
  GptqVersion version_;
};

void refuse_unknown(const QuantConfig& config) {
  if (quant_method(config) != "gptq") config.refuse("\"quant_method\" is not \"gptq\"", "");
  const std::string format = checkpoint_format(config, "gptq");
  if (format != "gptq" && format != "gptq_v2") {
    config.refuse_feature(fmt::format("GPTQ files in the format \"{}\"", format),
                          "Pare reads \"gptq\" and \"gptq_v2\"; convert the model with the program "
                          "that wrote it");
  }
  const std::int64_t bits = config.integer("bits", "", 0);
  if (bits == 4 || bits == 8) return;
  config.refuse_feature(
      fmt::format("GPTQ files of {} bits", bits),
      "Pare reads 4 and 8: other codes straddle words or have no place in what it "
      "writes");
}

}  // namespace

std::unique_ptr<QuantizedCheckpoint> open_gptq(const fs::path& folder) {
  const QuantConfig config = read_quant_config(folder);
  refuse_unknown(config);
  return make_hf_checkpoint(containers::open_checkpoint(folder), std::make_unique<Reader>(config));
}

}  // namespace pare::layout
