#include "pipeline/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>

#include <fmt/format.h>

#include "core/error.h"

namespace pare::pipeline {
namespace {

[[noreturn]] void fail(const std::string& name, const std::string& difference) {
  throw Error(ErrorCode::verify_failed, fmt::format("{}: {}", name, difference))
      .hint("nothing was kept; the disk or the program is at fault, please report it");
}

void check_linear(const export_::QuantizedCheckpoint& checkpoint, const LinearResult& meant,
                  bool may_clip) {
  const auto stored = checkpoint.linear(meant.name);
  if (!stored.has_value()) fail(meant.name, "not found in the files");
  const quant::QuantizedLinear& q = stored->linear;
  if (q.out != meant.out || q.in != meant.in) fail(meant.name, "shape differs");
  if (content_hash(q) != meant.content) fail(meant.name, "codes or scales differ");
  const auto finite = [](float v) { return std::isfinite(v); };
  if (!std::all_of(q.scales.begin(), q.scales.end(), finite)) fail(meant.name, "scale not finite");
  if (!may_clip && meant.weight.max_abs_error > meant.error_bound) {
    fail(meant.name, fmt::format("a weight is off by {:.3g}, more than its step allows ({:.3g})",
                                 meant.weight.max_abs_error, meant.error_bound));
  }
  if (!meant.input.has_value()) return;
  if (!q.input.has_value() || q.input->scale != meant.input->scale ||
      q.input->zero_point != meant.input->zero_point) {
    fail(meant.name, "activation parameters differ");
  }
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

void check_copy(const Plan& plan, const export_::QuantizedCheckpoint& checkpoint,
                const CopiedTensor& copy) {
  const auto stored = checkpoint.tensor(copy.name);
  if (!stored.has_value()) fail(copy.name, "not found in the files");
  const TensorView source = plan.source->read(copy.source);
  const auto give_back = [&] {
    plan.source->release(copy.source);
    checkpoint.release(copy.name);
  };
  // A layout without bf16 holds the same values in f32.
  const bool equal = stored->dtype == source.dtype ? same_bytes(source.data, stored->data, give_back)
                                                   : read_floats(source) == read_floats(*stored);
  give_back();
  if (!equal) fail(copy.name, "values differ from the source");
}

}  // namespace

std::size_t verify_output(const Context& ctx, const Plan& plan,
                          const std::vector<LinearResult>& meant,
                          const std::filesystem::path& folder) {
  const auto checkpoint = plan.intent.exporter->open(folder);
  if (checkpoint->linears().size() != meant.size()) {
    fail("the files", fmt::format("{} quantized linears instead of {}",
                                  checkpoint->linears().size(), meant.size()));
  }
  const auto linears = static_cast<std::int64_t>(meant.size());
  const auto copies = static_cast<std::int64_t>(plan.copied.size());
  ctx.progress({.stage = "verifying", .item = {}, .done = 0, .total = linears + copies, .note = {}});
  ctx.parallel_for(linears + copies, [&](std::int64_t i) {
    ctx.check_cancelled();
    if (i < linears) {
      check_linear(*checkpoint, meant[static_cast<std::size_t>(i)], plan.intent.method->may_clip);
      checkpoint->release(meant[static_cast<std::size_t>(i)].name);
      return;
    }
    check_copy(plan, *checkpoint, plan.copied[static_cast<std::size_t>(i - linears)]);
  });
  return plan.intent.exporter->declare(plan.output, plan.job.params).size();
}

}  // namespace pare::pipeline
