// A folder in a Hugging Face style layout read back: the names of tensors say which modules are
// quantized, a reader of the layout makes linears of them, and everything else is a float tensor.
#pragma once

#include "containers/tensor_source.h"
#include "layouts/hf/bit_words.h"
#include "layouts/layout.h"
#include "layouts/linear_parts.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// Whether a reader fills the codes, or leaves them out: plans need no codes.
enum class Codes : std::uint8_t { read, leave_out };

/// What differs from layout to layout. Threads: const members from several at once.
class HfReader {
 public:
  virtual ~HfReader() = default;
  /// The module that this tensor makes a quantized linear: "a" for "a.qweight"; "" for others.
  virtual std::string_view linear_of(const containers::TensorInfo& tensor) const = 0;
  /// Ends of the names that only parts of quantized linears have.
  virtual std::span<const std::string_view> parts() const = 0;
  /// Everything but name and bias. Errors: tensor_missing, tensor_mismatch, bad_description,
  /// not_finite, scheme_not_supported.
  virtual quant::QuantizedLinear read(const LinearParts& module, Codes codes) const = 0;
  /// See QuantizedCheckpoint::notes; `first` is one of the linears.
  virtual std::vector<std::string> notes(const LinearParts& first) const = 0;
};

/// Errors: bad_description for a part of a linear without the linear, or no linears at all.
std::unique_ptr<QuantizedCheckpoint> make_hf_checkpoint(
    std::unique_ptr<containers::TensorSource> source, std::unique_ptr<HfReader> reader);

/// The names of a linear's codes, allocated, as a grid [I, O]: to unpack transposed weights into.
StridedCodes<std::int8_t> input_grid(quant::QuantizedLinear& q);

}  // namespace pare::layout
