#include "calib/gram.h"

#include "kernels/gemm.h"

#include <utility>

namespace pare::calib {
namespace {

Matrix transposed(MatrixView<const float> x) {
  Matrix out(x.cols, x.rows);
  const MatrixView<float> view = out.view();
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t c = 0; c < x.cols; ++c)
      view.row(c)[r] = x.row(r)[c];
  }
  return out;
}

}  // namespace

void add_gram(const Context& ctx, MatrixView<const float> x, Matrix& gram) {
  if (gram.rows() == 0) gram = Matrix(x.cols, x.cols);
  if (x.rows == 0) return;
  const Matrix columns = transposed(x);
  const kernels::PackedWeight packed(ctx, columns.view(), kernels::Compute::f32);
  kernels::matmul_add(ctx, columns.view(), packed, gram.view());
}

std::size_t gram_bytes(std::int64_t in) noexcept {
  return static_cast<std::size_t>(in * in) * sizeof(float);
}

std::size_t add_gram_bytes(std::int64_t in, std::int64_t rows) noexcept {
  return static_cast<std::size_t>(2 * in * rows) * sizeof(float);  // columns, and packed
}

}  // namespace pare::calib
