#include "pipeline/output/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>

#include <fmt/format.h>

#include "core/error.h"
#include "layouts/ascend/math/scale_bias.h"
#include "layouts/ascend/math/static_algebra.h"
#include "pipeline/output/float_content.h"

namespace pare::pipeline {
namespace {

[[noreturn]] void fail(const std::string& name, const std::string& difference) {
  throw Error(ErrorCode::verify_failed, fmt::format("{}: {}", name, difference))
      .hint("nothing was kept; the disk or the program is at fault, please report it");
}

void check_input(const quant::QuantizedLinear& q, const LinearResult& meant) {
  if (!meant.input.has_value()) return;
  if (!q.input.has_value() || q.input->scale != meant.input->scale ||
      q.input->zero_point != meant.input->zero_point) {
    fail(meant.name, "activation parameters differ");
  }
}

/// Weights that are written dequantized.
void check_floats(const layout::QuantizedCheckpoint& checkpoint, const LinearResult& meant,
                  std::uint64_t content) {
  const auto weight = checkpoint.tensor(meant.name + ".weight");
  if (!weight.has_value()) fail(meant.name, "not found in the files");
  if (weight->shape != Shape{meant.out, meant.in}) fail(meant.name, "shape differs");
  if (float_content(*weight, checkpoint.tensor(meant.name + ".bias")) != content) {
    fail(meant.name, "weights differ");
  }
}

void check_linear(const Plan& plan, const layout::QuantizedCheckpoint& checkpoint,
                  const LinearResult& meant, std::uint64_t content, bool weights_only) {
  auto stored = checkpoint.linear(meant.name);
  if (!stored.has_value()) fail(meant.name, "not found in the files");
  quant::QuantizedLinear& q = stored->linear;
  // Sparse codes are int8 codes like any others to a layout that knows no grids.
  q.scheme.grid = plan.spec.scheme.grid;
  const bool may_clip = plan.spec.method->may_clip || plan.job.params.flag("refit_zeros");
  if (q.out != meant.out || q.in != meant.in) fail(meant.name, "shape differs");
  if (content_hash(q) != content) fail(meant.name, "codes or scales differ");
  const auto finite = [](float v) { return std::isfinite(v); };
  if (!std::all_of(q.scales.begin(), q.scales.end(), finite)) fail(meant.name, "scale not finite");
  if (!may_clip && meant.weight.max_abs_error > meant.error_bound) {
    fail(meant.name, fmt::format("a weight is off by {:.3g}, more than its step allows ({:.3g})",
                                 meant.weight.max_abs_error, meant.error_bound));
  }
  if (!weights_only) check_input(q, meant);
  check_derived(*stored);
}

/// Compares piece by piece and gives mapped pages back in between: tensors may be larger than memory.
bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b,
                const std::function<void()>& give_back) {
  constexpr std::size_t kPiece = std::size_t{8} << 20;
  if (a.size() != b.size()) return false;
  for (std::size_t first = 0; first < a.size(); first += kPiece) {
    const std::size_t size = std::min(kPiece, a.size() - first);
    if (std::memcmp(a.data() + first, b.data() + first, size) != 0) return false;
    give_back();
  }
  return true;
}

/// A layout without the source's type holds its values in another, rounded once.
bool same_values(const TensorView& source, const TensorView& stored,
                 const std::function<void()>& give_back) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  if (source.shape != stored.shape) return false;
  std::vector<float> meant;
  std::vector<float> found;
  for (std::int64_t first = 0; first < source.numel(); first += kPiece) {
    const auto size = static_cast<std::size_t>(std::min(kPiece, source.numel() - first));
    meant.resize(size);
    found.resize(size);
    read_floats(source, first, meant);
    read_floats(stored, first, found);
    for (float& value : meant) value = round_through(value, stored.dtype);
    if (meant != found) return false;
    give_back();
  }
  return true;
}

void check_copy(const Plan& plan, const layout::QuantizedCheckpoint& checkpoint,
                const CopiedTensor& copy) {
  const auto stored = checkpoint.tensor(copy.name);
  if (!stored.has_value()) fail(copy.name, "not found in the files");
  const TensorView source = plan.source->read(copy.source);
  const auto give_back = [&] {
    plan.source->release(copy.source);
    checkpoint.release(copy.name);
  };
  const bool equal = stored->dtype == source.dtype
                         ? same_bytes(source.data, stored->data, give_back)
                         : same_values(source, *stored, give_back);
  give_back();
  if (!equal) fail(copy.name, "values differ from the source");
}

}  // namespace

void check_derived(const layout::StoredLinear& stored) {
  const quant::QuantizedLinear& q = stored.linear;
  if (q.input.has_value()) {
    const std::vector<float> deq = layout::deq_scales(q);
    const std::vector<std::int32_t> quant_bias = layout::quant_biases(q, deq);
    // Layouts add the float bias as it is, or round it to integers.
    const bool as_it_is =
        q.bias.has_value() && stored.effective_bias == read_floats(q.bias->view());
    if (!as_it_is && stored.effective_bias != layout::effective_bias(q, quant_bias, deq)) {
      fail(q.name, "quant_bias or deq_scale differs");
    }
  }
  if (stored.scale_bias.empty()) return;
  const std::int64_t runs = static_cast<std::int64_t>(stored.scale_bias.size()) / q.out;
  if (stored.scale_bias != layout::scale_biases(q, runs)) fail(q.name, "scale_bias differs");
}

std::size_t verify_output(const Context& ctx, const Plan& plan, std::size_t output,
                          const std::vector<LinearResult>& meant,
                          const std::filesystem::path& folder) {
  const Output& written = plan.outputs[output];
  const bool plain_floats = written.layout->plain_floats;
  const auto checkpoint = written.layout->open(folder);
  if (!plain_floats && checkpoint->linears().size() != meant.size()) {
    fail("the files", fmt::format("{} quantized linears instead of {}",
                                  checkpoint->linears().size(), meant.size()));
  }
  const auto linears = static_cast<std::int64_t>(meant.size());
  const auto copies = static_cast<std::int64_t>(written.copied.size());
  ctx.progress({.stage = "verifying", .item = {}, .done = 0, .total = linears + copies, .note = {}});
  ctx.parallel_for(linears + copies, [&](std::int64_t i) {
    ctx.check_cancelled();
    if (i < linears) {
      const LinearResult& linear = meant[static_cast<std::size_t>(i)];
      const std::uint64_t content = linear.contents[output];
      if (plain_floats) {
        check_floats(*checkpoint, linear, content);
      } else {
        check_linear(plan, *checkpoint, linear, content, written.layout->weights_only);
      }
      checkpoint->release(linear.name);
      return;
    }
    check_copy(plan, *checkpoint, written.copied[static_cast<std::size_t>(i - linears)]);
  });
  return written.layout->declare(written.plan, plan.job.params).size();
}

}  // namespace pare::pipeline
