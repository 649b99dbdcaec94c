#include "layouts/linear_parts.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace pare::layout {

LinearParts::LinearParts(const containers::TensorSource& source, std::string name)
    : source_(source), name_(std::move(name)) {}

const containers::TensorInfo* LinearParts::find(std::string_view suffix) const noexcept {
  return source_.find(std::string(name_).append(suffix));
}

const containers::TensorInfo& LinearParts::existing(std::string_view suffix) const {
  const containers::TensorInfo* info = find(suffix);
  if (info != nullptr) return *info;
  throw Error(ErrorCode::tensor_missing, std::string(name_).append(suffix)).hint(kDamaged);
}

const containers::TensorInfo& LinearParts::expect(std::string_view suffix, DType dtype,
                                                  std::size_t rank) const {
  const containers::TensorInfo& info = existing(suffix);
  const bool fits = info.dtype == dtype && info.shape.rank() == rank && info.shape.numel() > 0;
  if (!fits) mismatch(suffix, fmt::format("{} with {} dimensions", pare::name_of(dtype), rank));
  return info;
}

const containers::TensorInfo& LinearParts::expect_floats(std::string_view suffix,
                                                         std::size_t rank) const {
  const containers::TensorInfo& info = existing(suffix);
  const bool fits =
      is_weight_float(info.dtype) && info.shape.rank() == rank && info.shape.numel() > 0;
  if (!fits) mismatch(suffix, fmt::format("F32, F16 or BF16 with {} dimensions", rank));
  return info;
}

TensorView LinearParts::read(std::string_view suffix, DType dtype, const Shape& shape) const {
  const containers::TensorInfo& info = existing(suffix);
  if (info.dtype != dtype || info.shape != shape) {
    mismatch(suffix, fmt::format("{} {}", pare::name_of(dtype), shape.text()));
  }
  source_.populate(info.name);
  return source_.read(info.name);
}

std::vector<float> LinearParts::floats(std::string_view suffix, const Shape& shape) const {
  const DType dtype = existing(suffix).dtype;
  if (!is_weight_float(dtype)) mismatch(suffix, "F32, F16 or BF16 " + shape.text());
  std::vector<float> values = read_floats(read(suffix, dtype, shape));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    throw Error(ErrorCode::not_finite,
                fmt::format("{}{}, value {}: {}", name_, suffix, i, values[i]))
        .hint(kDamaged);
  }
  return values;
}

void LinearParts::mismatch(std::string_view suffix, const std::string& expected) const {
  const containers::TensorInfo& info = existing(suffix);
  throw Error(ErrorCode::tensor_mismatch,
              fmt::format("{} must be {}, found {} {}", info.name, expected,
                          pare::name_of(info.dtype), info.shape.text()))
      .hint(kDamaged);
}

void LinearParts::contradiction(const std::string& detail) const {
  throw Error(ErrorCode::bad_description, fmt::format("{}: {}", name_, detail)).hint(kDamaged);
}

}  // namespace pare::layout
