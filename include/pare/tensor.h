// Tensors: element types, shapes, borrowed and owned bytes, matrices, bytes about to be written.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pare {

/// Element types; the names in every file format stand for one of them. `foreign` is every type
/// that a later version of a format may have: its tensors are bytes, and their file counts them.
enum class DType : std::uint8_t {
  boolean,
  u8,
  i8,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  i64,
  u64,
  f64,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  c64,
  f4,
  f6_e2m3,
  f6_e3m2,
  foreign
};

/// Bytes of one element; 0 for types of less than a byte and for `foreign`.
std::size_t size_of(DType dtype) noexcept;

/// Bytes of `count` elements, packed without gaps; nullopt when they are no whole number, when the
/// number overflows, or when the type is foreign.
std::optional<std::size_t> bytes_of(DType dtype, std::int64_t count) noexcept;

/// Name as safetensors spells it: "BF16", "I8", …
std::string_view name_of(DType dtype) noexcept;

/// The element type a safetensors name stands for; nullopt when it is none that Pare knows.
std::optional<DType> dtype_from_name(std::string_view safetensors_name) noexcept;

/// True for f32, f16 and bf16: the types a weight may have.
bool is_weight_float(DType dtype) noexcept;

/// Dimensions of a tensor, outermost first. A scalar has rank 0.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {}

  std::size_t rank() const noexcept { return dims_.size(); }
  std::int64_t operator[](std::size_t axis) const noexcept { return dims_[axis]; }
  std::span<const std::int64_t> dims() const noexcept { return dims_; }

  /// Number of elements; throws Error(bad_format) when the product overflows or a size is negative.
  std::int64_t numel() const;

  /// "[4096, 256]"
  std::string text() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::vector<std::int64_t> dims_;
};

/// Borrowed bytes of a row-major, little-endian tensor. `data` need not be aligned to the element.
/// `owner` is set when the bytes were made for the reader (decoded): copies of the view keep them.
struct TensorView {
  DType dtype = DType::u8;
  Shape shape;
  std::span<const std::byte> data;
  std::shared_ptr<const void> owner = nullptr;

  std::int64_t numel() const { return shape.numel(); }
};

/// Rows [first, first + count) of a matrix; they must lie inside.
TensorView rows_of(const TensorView& matrix, std::int64_t first, std::int64_t count);

/// Owner of a tensor's bytes.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, Shape shape);  // zero-filled

  template <typename T>
  static Tensor from(DType dtype, Shape shape, std::span<const T> values) {
    Tensor t(dtype, std::move(shape));
    assert(values.size_bytes() == t.bytes_.size());
    if (!values.empty()) std::memcpy(t.bytes_.data(), values.data(), t.bytes_.size());
    return t;
  }

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::span<std::byte> bytes() noexcept { return bytes_; }
  TensorView view() const { return {dtype_, shape_, bytes_}; }
  bool empty() const noexcept { return bytes_.empty(); }

 private:
  DType dtype_ = DType::u8;
  Shape shape_;
  std::vector<std::byte> bytes_;
};

/// Borrowed row-major matrix with an explicit row stride (in elements).
template <typename T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;

  MatrixView() = default;
  MatrixView(T* d, std::int64_t r, std::int64_t c) : data(d), rows(r), cols(c), stride(c) {}
  MatrixView(T* d, std::int64_t r, std::int64_t c, std::int64_t s)
      : data(d), rows(r), cols(c), stride(s) {}

  T* row(std::int64_t r) const noexcept { return data + r * stride; }
  std::span<T> row_span(std::int64_t r) const noexcept {
    return {row(r), static_cast<std::size_t>(cols)};
  }
  MatrixView rows_from(std::int64_t first, std::int64_t count) const noexcept {
    return {row(first), count, cols, stride};
  }
  operator MatrixView<const T>() const noexcept { return {data, rows, cols, stride}; }
};

/// Owner of an f32 matrix.
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::int64_t rows, std::int64_t cols)
      : rows_(rows), cols_(cols), values_(static_cast<std::size_t>(rows * cols)) {}

  /// Another shape in the same memory, which grows when it must; the contents are unspecified.
  void reshape(std::int64_t rows, std::int64_t cols) {
    rows_ = rows;
    cols_ = cols;
    values_.resize(static_cast<std::size_t>(rows * cols));
  }

  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t cols() const noexcept { return cols_; }
  MatrixView<float> view() noexcept { return {values_.data(), rows_, cols_}; }
  MatrixView<const float> view() const noexcept { return {values_.data(), rows_, cols_}; }
  std::vector<float>& values() noexcept { return values_; }
  const std::vector<float>& values() const noexcept { return values_; }

 private:
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
  std::vector<float> values_;
};

/// Elements [first, first + out.size()) of a float tensor (f32, f16, bf16) as f32.
/// Errors: tensor_mismatch when the dtype is not a weight float. The range must lie inside.
void read_floats(const TensorView& tensor, std::int64_t first, std::span<float> out);

/// All elements of a float tensor as f32.
std::vector<float> read_floats(const TensorView& tensor);

/// f32 values stored as `dtype` (f32, f16, bf16), rounded half to even.
/// Errors: out_of_range when a finite value becomes infinite in f16 or bf16.
Tensor store_floats(std::span<const float> values, DType dtype, Shape shape);

/// `value` rounded to `dtype` and widened again: what a reader of the file will see.
float round_through(float value, DType dtype) noexcept;

/// std::allocator, but that elements made without a value have none.
template <typename T>
struct UninitializedAllocator : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = UninitializedAllocator<U>;
  };
  template <typename U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }
  template <typename U, typename... Args>
  void construct(U* place, Args&&... args) {
    ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
  }
};

/// Bytes that are about to be written: a vector that does not fill itself with zeros when it grows.
using RawBytes = std::vector<std::byte, UninitializedAllocator<std::byte>>;

}  // namespace pare
