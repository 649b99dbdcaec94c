// The tensors of a linear as they lie in files.
#pragma once

#include "containers/tensor_source.h"

#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// What to do about a file that contradicts itself.
inline constexpr const char* kDamaged = "the file is damaged or was made by another program";

/// The tensors of one linear as they lie in files, with checked access. Suffixes are ".qweight" and
/// the like.
class LinearParts {
 public:
  LinearParts(const containers::TensorSource& source, std::string name);

  const std::string& name() const noexcept { return name_; }
  /// nullptr when the module has no such tensor.
  const containers::TensorInfo* find(std::string_view suffix) const noexcept;
  /// Errors: tensor_missing; tensor_mismatch for another type or rank, or no elements.
  const containers::TensorInfo& expect(std::string_view suffix, DType dtype,
                                       std::size_t rank) const;
  /// The same of type F32, F16 or BF16.
  const containers::TensorInfo& expect_floats(std::string_view suffix, std::size_t rank) const;
  /// Bytes of a tensor that must have this type and shape. Errors: as `expect`.
  TensorView read(std::string_view suffix, DType dtype, const Shape& shape) const;
  /// Values of a float tensor of this shape, all finite. Errors: as `expect`, and not_finite.
  std::vector<float> floats(std::string_view suffix, const Shape& shape) const;

  /// Throws Error(tensor_mismatch): the tensor must be `expected`.
  [[noreturn]] void mismatch(std::string_view suffix, const std::string& expected) const;
  /// Throws Error(bad_description) about what the tensors say together.
  [[noreturn]] void contradiction(const std::string& detail) const;

 private:
  const containers::TensorInfo& existing(std::string_view suffix) const;

  const containers::TensorSource& source_;
  std::string name_;
};

}  // namespace pare::layout
