#include "pipeline/output/verify.h"

#include "io/hash.h"
#include "layouts/layout.h"
#include "layouts/norm_copies.h"
#include "pare/error.h"
#include "pipeline/output/compare_floats.h"
#include "pipeline/output/content.h"
#include "pipeline/output/for_each_linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace pare::pipeline {
namespace {

[[noreturn]] void fail(const std::string& name, const std::string& difference) {
  throw Error(ErrorCode::verify_failed, fmt::format("{}: {}", name, difference))
      .hint("nothing was kept; the disk or the program is at fault, please report it");
}

std::set<std::string> as_set(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

class Verifier {
 public:
  Verifier(const Context& ctx, const RunPlan& run, std::size_t index,
           const std::filesystem::path& folder)
      : ctx_(ctx),
        plan_(run.outputs[index]),
        index_(index),
        floats_(run.floats),
        written_(plan_.layout->open(folder)) {
    for (const layout::OutputEntry& entry : plan_.entries) {
      if (!entry.linear.has_value()) {
        elements_.emplace(entry.tensor.name, entry.tensor.shape.numel());
      }
    }
  }

  /// Every declared tensor is there as declared, and nothing is taken for anything else.
  std::size_t check_names(const ParamMap& params) const {
    const auto stored = written_->stored();
    const std::vector<containers::TensorInfo> declared = plan_.layout->declare(plan_, params);
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
    if (!plan_.layout->plain_floats) check_linear_names();
    return declared.size();
  }

  FloatDifference check_copies() const {
    FloatDifference all;
    std::mutex mutex;
    const auto check = [&](const layout::CopiedTensor& copy) {
      ctx_.check_cancelled();
      const double moved = check_copy(copy);
      const std::lock_guard lock(mutex);
      if (moved > 0) ++all.tensors;
      all.worst = std::max(all.worst, moved);
    };
    // Large ones alone: a source may have to decode them whole.
    std::vector<const layout::CopiedTensor*> small;
    for (const layout::CopiedTensor& copy : plan_.copied) {
      if (elements_of(copy) > kComparedElements) {
        check(copy);
      } else {
        small.push_back(&copy);
      }
    }
    ctx_.parallel_for(static_cast<std::int64_t>(small.size()),
                      [&](std::int64_t i) { check(*small[static_cast<std::size_t>(i)]); });
    return all;
  }

  void check_rewritten(const std::vector<RewrittenRecord>& expected) const {
    for (const RewrittenRecord& tensor : expected) {
      const auto found = written_->tensor(tensor.name);
      if (!found.has_value()) fail(tensor.name, "not found in the files");
      const std::vector<float> values = read_floats(*found);
      if (io::xxh3(std::as_bytes(std::span(values))) == tensor.values) continue;
      fail(tensor.name, "not as the transform made it");
    }
  }

  void check_linears(const std::vector<LinearRecord>& records) const {
    std::unordered_map<std::string_view, const LinearRecord*> by_name;
    for (const LinearRecord& record : records)
      by_name.emplace(record.name, &record);
    for_each_linear(ctx_, plan_, "verifying", [&](const quant::LinearHeader& planned) {
      const auto found = by_name.find(planned.name);
      if (found == by_name.end()) fail(planned.name, "was never written");
      if (plan_.layout->plain_floats) {
        check_floats(*found->second);
      } else {
        check_codes(planned, *found->second);
      }
      written_->release(planned.name);
    });
  }

 private:
  void check_linear_names() const {
    std::set<std::string> linears;
    for (const layout::OutputEntry& entry : plan_.entries) {
      if (entry.linear.has_value()) linears.insert(entry.linear->name);
    }
    if (as_set(written_->linears()) != linears) fail("the files", "other linears are quantized");
  }

  /// Of a copied tensor, as the plan has it.
  std::int64_t elements_of(const layout::CopiedTensor& copy) const {
    const auto found = elements_.find(copy.name);
    return found == elements_.end() ? 0 : found->second;
  }

  /// How far a copied tensor moved.
  double check_copy(const layout::CopiedTensor& copy) const {
    const auto found = written_->tensor(copy.name);
    // Readers hide the second copies of norms once they have compared them with the first.
    if (!found.has_value() && copy.name == layout::norm_copy(copy.source)) return 0;
    if (!found.has_value()) fail(copy.name, "not found in the files");
    const TensorComparison comparison = compare_floats(floats_.read(copy.source), *found, [&] {
      floats_.release(copy.source);
      written_->release(copy.name);
    });
    if (!comparison.problem.empty()) fail(copy.name, comparison.problem);
    return comparison.moved;
  }

  /// Weights that are written dequantized.
  void check_floats(const LinearRecord& expected) const {
    const std::string name = expected.name + ".weight";
    const auto weight = written_->tensor(name);
    if (!weight.has_value()) fail(expected.name, "not found in the files");
    if (weight->shape != Shape{expected.out, expected.in}) fail(expected.name, "shape differs");
    const auto bias = written_->tensor(expected.name + ".bias");
    if (float_content(*weight, bias) != expected.contents[index_]) {
      fail(name, "weights differ from what the codes stand for");
    }
    written_->release(name);
  }

  void check_codes(const quant::LinearHeader& planned, const LinearRecord& expected) const {
    auto loaded = written_->linear(planned.name);
    if (!loaded.has_value()) fail(planned.name, "not found in the files");
    quant::QuantizedLinear& q = loaded->linear;
    if (q.out != planned.out || q.in != planned.in) fail(planned.name, "shape differs");
    if (q.scheme.weight_bits != planned.scheme.weight_bits ||
        q.scheme.activations != planned.scheme.activations) {
      fail(planned.name, "scheme differs");
    }
    // Sparse codes are int8 codes like any others to a layout that knows no forms.
    q.scheme.form = planned.scheme.form;
    if (content_hash(q) != expected.contents[index_]) {
      fail(planned.name, "codes, scales, zeros or bias differ");
    }
    const auto finite = [](float v) { return std::isfinite(v); };
    if (!std::all_of(q.scales.begin(), q.scales.end(), finite)) {
      fail(planned.name, "scale not finite");
    }
    check_error_bound(expected);
    if (q.input.has_value()) check_input(*q.input, expected);
    if (plan_.layout->contradiction == nullptr) return;
    const std::string contradiction = plan_.layout->contradiction(*loaded);
    if (!contradiction.empty()) fail(planned.name, contradiction);
  }

  static void check_error_bound(const LinearRecord& expected) {
    if (expected.weight.max_abs_error <= expected.error_bound) return;
    fail(expected.name, fmt::format("a weight is off by {:.3g}, more than its step allows ({:.3g})",
                                    expected.weight.max_abs_error, expected.error_bound));
  }

  static void check_input(const quant::ActivationParams& found, const LinearRecord& expected) {
    const bool same = expected.input.has_value() && found.scale == expected.input->scale &&
                      found.zero_point == expected.input->zero_point;
    if (!same) fail(expected.name, "activation parameters differ");
  }

  const Context& ctx_;
  const layout::OutputPlan& plan_;
  std::size_t index_;
  const FloatSource& floats_;
  std::unique_ptr<layout::QuantizedCheckpoint> written_;
  std::unordered_map<std::string_view, std::int64_t> elements_;  // of the plan's float tensors
};

}  // namespace

void verify_output(const Context& ctx, const RunPlan& plan, std::size_t index,
                   const std::vector<LinearRecord>& linears, const std::filesystem::path& folder,
                   OutputRecord& record) {
  const Verifier verifier(ctx, plan, index, folder);
  record.verified_tensors = verifier.check_names(*plan.params);
  record.floats = verifier.check_copies();
  verifier.check_rewritten(record.rewritten);
  verifier.check_linears(linears);
}

}  // namespace pare::pipeline
