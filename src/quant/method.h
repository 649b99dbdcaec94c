// A method turns one weight matrix into codes. One file in methods/ and one line in methods.def each.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "pare/context.h"
#include "pare/job.h"
#include "pare/quantized_linear.h"
#include "pare/tensor.h"

namespace pare::quant {

/// What a method must be given besides the weight.
enum class Needs : std::uint8_t { weights_only, gram };

/// What a linear reads, over all calibration tokens. Linears of one input share it.
struct InputStats {
  MatrixView<const float> gram;  // [I, I]: the sum of x·xᵀ over all rows x
  std::int64_t rows = 0;
};

/// What a linear is quantized from.
struct MethodInput {
  const TensorView& weight;  // [O, I] of f32, f16 or bf16; may be mapped: read it once or twice only
  const Scheme& scheme;
  DType scale_dtype;  // the scales must be exact in it
  const ParamMap& params;
  const InputStats* stats = nullptr;  // never null when the method needs a Gram matrix
};

struct Method {
  std::string_view id;
  std::string_view summary;
  std::string_view source;
  Needs needs = Needs::weights_only;
  std::span<const ParamSpec> params;
  /// "" when the scheme can be done, else the reason it cannot.
  std::string_view (*refuses)(const Scheme& scheme) noexcept;
  /// Fills codes, scales, zeros, out, in, scheme, scale_dtype; name and bias are the caller's.
  /// Errors: not_finite when the weight holds NaN or infinity (naming row and column);
  ///         group_does_not_divide when the group size does not divide I.
  /// Threads: rows in parallel through ctx; bytes identical for any thread count.
  QuantizedLinear (*quantize)(const Context& ctx, const MethodInput& input);
  /// Whether a weight may end up further from its source than half a step, on purpose. The check
  /// after writing then leaves that bound out.
  bool may_clip = false;
  /// Looks at the values of `params` before any work; null when their ranges say everything.
  /// Returns a warning, "" when there is nothing to say. Errors: bad_option_value.
  std::string (*check)(const ParamMap& params) = nullptr;
  /// Fallback levels (`disable_level`) keep the linears with the largest inputs, after smoothing,
  /// instead of those with the widest range for their deviation.
  bool level_by_largest_input = false;
  /// Whether codes will be linear in a power of the weights; null = never.
  bool (*has_exponent)(const ParamMap& params) = nullptr;
  /// Turns a weight [O, I] in place into what searches take for its codes; null = what `quantize`
  /// makes of it.
  void (*fake_quantize)(const Context& ctx, const Scheme& scheme,
                        MatrixView<float> weight) = nullptr;
};

std::span<const Method* const> methods() noexcept;

/// Errors: unknown_entry with a near match.
const Method& find_method(std::string_view id);

}  // namespace pare::quant
