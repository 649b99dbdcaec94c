// The proof of a conversion: what was written is decoded and must be what was meant.
#include "core/error.h"
#include "kernels/quantize.h"
#include "pipeline/convert/convert.h"
#include "pipeline/quantize/quantize.h"
#include "pipeline/output/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace pare::pipeline {
namespace {

[[noreturn]] void fail(const std::string& name, const std::string& difference) {
  throw Error(ErrorCode::verify_failed, fmt::format("{}: {}", name, difference))
      .hint("nothing was kept; the disk or the program is at fault, please report it");
}

std::set<std::string> as_set(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

/// Every declared tensor is there as declared, and nothing is taken for anything else.
std::size_t check_names(const layout::QuantizedCheckpoint& written, const ConvertPlan& plan,
                        const ParamMap& params) {
  const auto stored = written.stored();
  const std::vector<containers::TensorInfo> declared = plan.layout->declare(plan.output, params);
  for (const containers::TensorInfo& info : declared) {
    const containers::TensorInfo* found = stored->find(info.name);
    if (found == nullptr) fail(info.name, "not found in the files");
    if (found->dtype != info.dtype || found->shape != info.shape) {
      fail(info.name, "type or shape differs");
    }
  }
  if (stored->tensors().size() != declared.size()) {
    fail("the files",
         fmt::format("{} tensors instead of {}", stored->tensors().size(), declared.size()));
  }
  if (plan.layout->plain_floats) return declared.size();
  std::set<std::string> linears;
  for (const layout::Item& item : plan.output.items) {
    if (item.linear.has_value()) linears.insert(item.linear->name);
  }
  if (as_set(written.linears()) != linears) fail("the files", "other linears are quantized");
  return declared.size();
}

void check_linear(const layout::LinearPlan& planned, const ExpectedLinear& meant,
                  layout::StoredLinear found) {
  const std::string& name = planned.name;
  quant::QuantizedLinear& q = found.linear;
  if (q.out != planned.out || q.in != planned.in) fail(name, "shape differs");
  if (q.scheme.weight_bits != planned.scheme.weight_bits ||
      q.scheme.activations != planned.scheme.activations) {
    fail(name, "scheme differs");
  }
  q.scheme.grid = planned.scheme.grid;  // some layouts know no grids: codes are codes
  if (content_hash(q) != meant.content) fail(name, "codes, scales, zeros or bias differ");
  const bool same_input =
      q.input.has_value() == meant.input.has_value() &&
      (!q.input.has_value() ||
       (q.input->scale == meant.input->scale && q.input->zero_point == meant.input->zero_point));
  if (!same_input) fail(name, "activation parameters differ");
  check_derived(found);
}

/// Linears as the files hold them against what was meant.
class LinearVerifier {
 public:
  LinearVerifier(const ConvertSource& source, const layout::QuantizedCheckpoint& written,
              const ConvertPlan& plan, const ParamMap& params, const ExpectedLinears& meant)
      : source_(source), written_(written), plan_(plan), params_(params), meant_(meant) {}

  void check(const layout::LinearPlan& linear) {
    const auto found = meant_.find(linear.name);
    if (found == meant_.end()) fail(linear.name, "was never converted");
    const ExpectedLinear& meant = found->second;
    const double difference =
        plan_.layout->plain_floats ? check_floats(linear) : check_codes(linear, meant);
    written_.release(linear.name);
    const std::lock_guard lock(mutex_);
    fitting_.add(meant.fitting);
    difference_ = std::max(difference_, difference);
  }

  const FitReport& fitting() const noexcept { return fitting_; }
  double difference() const noexcept { return difference_; }

 private:
  double check_codes(const layout::LinearPlan& linear, const ExpectedLinear& meant) {
    auto found = written_.linear(linear.name);
    if (!found.has_value()) fail(linear.name, "not found in the files");
    check_linear(linear, meant, *std::move(found));
    return meant.weight_difference;
  }

  double check_floats(const layout::LinearPlan& linear) {
    ExpectedLinear again;
    const layout::StoredLinear meant =
        prepare_linear(*source_.checkpoint, linear, *plan_.layout, params_, again);
    const std::string name = linear.name + ".weight";
    bool exact = false;
    const double difference = weight_difference(meant.linear, *written_.tensor(name), exact);
    written_.release(name);
    if (!exact) fail(name, "weights differ from what the codes stand for");
    if (!meant.linear.bias.has_value()) return difference;
    const auto bias = written_.tensor(linear.name + ".bias");
    if (!bias.has_value() || read_floats(*bias) != read_floats(meant.linear.bias->view())) {
      fail(linear.name, "bias differs");
    }
    return difference;
  }

  const ConvertSource& source_;
  const layout::QuantizedCheckpoint& written_;
  const ConvertPlan& plan_;
  const ParamMap& params_;
  const ExpectedLinears& meant_;
  std::mutex mutex_;
  FitReport fitting_;
  double difference_ = 0;
};

/// Whether `size` values from `first` on have one type and the same bytes on both sides.
bool same_piece(const TensorView& a, const TensorView& b, std::int64_t first, std::size_t size) {
  if (a.dtype != b.dtype) return false;
  const std::size_t width = size_of(a.dtype);
  const std::size_t offset = static_cast<std::size_t>(first) * width;
  return std::memcmp(a.data.data() + offset, b.data.data() + offset, size * width) == 0;
}

void widen_piece(const TensorView& tensor, std::int64_t first, std::vector<float>& out) {
  const std::size_t at = static_cast<std::size_t>(first) * size_of(tensor.dtype);
  kernels::widen_row(tensor.dtype, tensor.data.data() + at, static_cast<std::int64_t>(out.size()),
                     out.data());
}

/// Largest change; fails where it is not what rounding to `dtype` explains.
double change_of_piece(const std::vector<float>& meant, const std::vector<float>& found,
                       DType dtype, const std::string& name) {
  std::int32_t largest = 0;  // magnitudes as bits, which order like the numbers
  for (std::size_t i = 0; i < meant.size(); ++i) {
    const auto bits = std::bit_cast<std::int32_t>(meant[i] - found[i]) & 0x7FFFFFFF;
    largest = std::max(largest, bits);
  }
  if (largest == 0) return 0;
  for (std::size_t i = 0; i < meant.size(); ++i) {
    if (meant[i] == found[i]) continue;
    if (round_through(meant[i], dtype) != found[i]) fail(name, "values differ");
  }
  return static_cast<double>(std::bit_cast<float>(largest));
}

/// Largest difference of a float tensor, which must be what rounding to the file's type explains.
double check_tensor(const TensorView& source, const TensorView& found, const std::string& name,
                    const std::function<void()>& give_back) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  if (source.shape != found.shape) fail(name, "shape differs");
  if (!is_weight_float(source.dtype)) {
    if (!std::ranges::equal(source.data, found.data)) fail(name, "bytes differ");
    return 0;
  }
  double worst = 0;
  std::vector<float> meant;
  std::vector<float> values;
  for (std::int64_t first = 0; first < source.numel(); first += kPiece) {
    const auto size = static_cast<std::size_t>(std::min(kPiece, source.numel() - first));
    if (same_piece(source, found, first, size)) {
      give_back();
      continue;
    }
    meant.resize(size);
    values.resize(size);
    widen_piece(source, first, meant);
    widen_piece(found, first, values);
    worst = std::max(worst, change_of_piece(meant, values, found.dtype, name));
    give_back();
  }
  return worst;
}

FloatDifference check_tensors(const Context& ctx, const ConvertSource& source,
                              const layout::QuantizedCheckpoint& written,
                              const ConvertPlan& plan) {
  FloatDifference all;
  std::mutex mutex;
  ctx.parallel_for(static_cast<std::int64_t>(plan.copied.size()), [&](std::int64_t i) {
    ctx.check_cancelled();
    const CopiedTensor& copy = plan.copied[static_cast<std::size_t>(i)];
    const auto found = written.tensor(copy.name);
    // Readers hide the second copies of norms once they have compared them with the first.
    if (!found.has_value() && copy.name != copy.source) return;
    if (!found.has_value()) fail(copy.name, "not found in the files");
    const double worst =
        check_tensor(*source.checkpoint->tensor(copy.source), *found, copy.name, [&] {
          source.checkpoint->release(copy.source);
          written.release(copy.name);
        });
    const std::lock_guard lock(mutex);
    if (worst > 0) ++all.tensors;
    all.worst = std::max(all.worst, worst);
  });
  return all;
}

}  // namespace

ConvertVerdict verify_conversion(const Context& ctx, const ConvertSource& source,
                              const ConvertPlan& plan, const ParamMap& params,
                              const ExpectedLinears& meant, const std::filesystem::path& folder) {
  const auto written = plan.layout->open(folder);
  ConvertVerdict proof;
  proof.tensors = check_names(*written, plan, params);
  proof.floats = check_tensors(ctx, source, *written, plan);
  LinearVerifier linears(source, *written, plan, params, meant);
  for_each_linear(ctx, plan.output, "verifying",
                  [&](const layout::LinearPlan& linear) { linears.check(linear); });
  proof.fitting = linears.fitting();
  proof.weight_difference = linears.difference();
  return proof;
}

}  // namespace pare::pipeline
