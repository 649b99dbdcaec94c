#include "kernels/gemm.h"

#include "kernels/isa.h"
#include "kernels/reference.h"
#include "pare/error.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

namespace pare::kernels {
namespace {

struct Sizes {
  std::int64_t t, o, i;
};

// One, few and many rows; sizes below, at and beyond panels, tiles and slabs.
const Sizes kSizes[] = {{1, 1, 1},      {3, 5, 7},     {17, 33, 65},   {4, 32, 16},   {1, 70, 300},
                        {2, 64, 513},   {4, 129, 257}, {5, 31, 31},    {16, 32, 32},  {33, 95, 600},
                        {64, 40, 1040}, {15, 1, 2},    {230, 300, 40}, {48, 64, 4096}};

std::string label(const Sizes& s, Compute compute, Isa isa) {
  return std::to_string(s.t) + "x" + std::to_string(s.o) + "x" + std::to_string(s.i) +
         (compute == Compute::f32 ? " f32 " : " bf16 ") + std::string(isa_name(isa));
}

Matrix multiply(const Context& ctx, const Matrix& x, const Matrix& w, Compute compute, Isa isa) {
  Matrix y(x.rows(), w.rows());
  std::fill(y.values().begin(), y.values().end(), std::numeric_limits<float>::quiet_NaN());
  matmul(ctx, x.view(), PackedWeight(ctx, w.view(), compute, isa), y.view());
  return y;
}

bool same_bits(const Matrix& a, const Matrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.values().data(), b.values().data(), a.values().size() * 4) == 0;
}

TEST(Gemm, HandWorkedProduct) {
  // [1 2 3] · [4 5 6]ᵀ = 32, [1 2 3] · [-1 0 1]ᵀ = 2.
  Matrix x(1, 3);
  x.values() = {1, 2, 3};
  Matrix w(2, 3);
  w.values() = {4, 5, 6, -1, 0, 1};
  const Context ctx(1);
  for (const Isa isa : available_isas()) {
    for (const Compute compute : {Compute::f32, Compute::bf16}) {
      EXPECT_EQ(multiply(ctx, x, w, compute, isa).values(), (std::vector<float>{32, 2}))
          << isa_name(isa);
    }
  }
}

TEST(Gemm, F32HasTheBitsOfSequentialFmaOnEveryIsa) {
  const Context ctx(2);
  for (const Sizes& s : kSizes) {
    const Matrix x = reference::random_matrix(s.t, s.i, 1);
    const Matrix w = reference::random_matrix(s.o, s.i, 2);
    const Matrix expected = reference::fma_matmul(x, w);
    for (const Isa isa : available_isas()) {
      EXPECT_TRUE(same_bits(multiply(ctx, x, w, Compute::f32, isa), expected))
          << label(s, Compute::f32, isa);
    }
    Matrix y(s.t, s.o);
    matmul(ctx, x.view(), w.view(), y.view());
    EXPECT_TRUE(same_bits(y, expected)) << "unpacked";
  }
}

TEST(Gemm, Bf16IsTheProductOfRoundedOperands) {
  const Context ctx(2);
  for (const Sizes& s : kSizes) {
    const Matrix x = reference::random_matrix(s.t, s.i, 3);
    const Matrix w = reference::random_matrix(s.o, s.i, 4);
    const reference::Product expected =
        reference::matmul(reference::rounded_to_bf16(x), reference::rounded_to_bf16(w));
    for (const Isa isa : available_isas()) {
      const Matrix y = multiply(ctx, x, w, Compute::bf16, isa);
      for (std::size_t at = 0; at < y.values().size(); ++at) {
        // Products are exact in f32; each of the I additions rounds once, by at most 2^-24 of a
        // partial sum, which the sum of magnitudes bounds (doubled for truncating hardware).
        const double bound = static_cast<double>(s.i + 1) * 0x1p-23 * expected.magnitude[at];
        const double error = std::fabs(static_cast<double>(y.values()[at]) - expected.value[at]);
        ASSERT_LE(error, bound + 1e-30) << label(s, Compute::bf16, isa) << " at " << at;
      }
    }
  }
}

TEST(Gemm, SameBytesForAnyNumberOfThreads) {
  const Context one(1);
  const Context two(2);
  const Context seven(7);
  for (const Sizes& s : {Sizes{1, 700, 300}, Sizes{3, 70, 900}, Sizes{150, 420, 530}}) {
    const Matrix x = reference::random_matrix(s.t, s.i, 5);
    const Matrix w = reference::random_matrix(s.o, s.i, 6);
    for (const Isa isa : available_isas()) {
      for (const Compute compute : {Compute::f32, Compute::bf16}) {
        const Matrix expected = multiply(one, x, w, compute, isa);
        EXPECT_TRUE(same_bits(multiply(two, x, w, compute, isa), expected))
            << label(s, compute, isa);
        EXPECT_TRUE(same_bits(multiply(seven, x, w, compute, isa), expected))
            << label(s, compute, isa);
      }
    }
  }
}

TEST(Gemm, LongInputsInChunksHaveTheBytesOfOnePack) {
  // 1027 rows are cut into two chunks by the simple product.
  const Context ctx(2);
  const Matrix x = reference::random_matrix(1027, 48, 7);
  const Matrix w = reference::random_matrix(40, 48, 8);
  for (const Isa isa : available_isas()) {
    for (const Compute compute : {Compute::f32, Compute::bf16}) {
      const PackedWeight packed_w(ctx, w.view(), compute, isa);
      Matrix chunked(1027, 40);
      matmul(ctx, x.view(), packed_w, chunked.view());
      PackedInput packed_x;
      packed_x.pack(ctx, x.view(), packed_w);
      Matrix whole(1027, 40);
      matmul(ctx, packed_x, packed_w, whole.view());
      EXPECT_TRUE(same_bits(chunked, whole)) << isa_name(isa);
    }
  }
}

TEST(Gemm, AddPutsTheProductOnTopOfWhatIsThere) {
  const Context ctx(2);
  const Matrix x = reference::random_matrix(20, 40, 9);
  const Matrix w = reference::random_matrix(35, 40, 10);
  const Matrix before = reference::random_matrix(20, 35, 11);
  const PackedWeight packed(ctx, w.view(), Compute::f32);
  const Matrix product = reference::fma_matmul(x, w);
  Matrix y = before;
  matmul_add(ctx, x.view(), packed, y.view());
  for (std::size_t at = 0; at < y.values().size(); ++at) {
    ASSERT_EQ(y.values()[at], before.values()[at] + product.values()[at]);
  }
}

TEST(Gemm, StridedOutputLeavesTheRestAlone) {
  const Context ctx(1);
  const Matrix x = reference::random_matrix(5, 33, 12);
  const Matrix w = reference::random_matrix(6, 33, 13);
  const Matrix expected = reference::fma_matmul(x, w);
  Matrix wide(5, 9);
  std::fill(wide.values().begin(), wide.values().end(), 7.0F);
  matmul(ctx, x.view(), PackedWeight(ctx, w.view(), Compute::f32),
         MatrixView<float>(wide.values().data(), 5, 6, 9));
  for (std::int64_t r = 0; r < 5; ++r) {
    for (std::int64_t c = 0; c < 9; ++c) {
      const float want = c < 6 ? expected.view().row(r)[c] : 7.0F;
      ASSERT_EQ(wide.view().row(r)[c], want);
    }
  }
}

TEST(Gemm, WeightsOfEveryFileTypePackTheSameValues) {
  const Context ctx(2);
  const Matrix w = reference::rounded_to_bf16(reference::random_matrix(37, 530, 14));
  const Matrix x = reference::random_matrix(9, 530, 15);
  // Values with 8 significant bits in [2^-6, 1] are exact in f16 too.
  Matrix exact = w;
  for (float& v : exact.values()) {
    if (std::fabs(v) < 0.015625F) v = 0;
  }
  for (const Compute compute : {Compute::f32, Compute::bf16}) {
    const Matrix expected = multiply(ctx, x, exact, compute, current_isa());
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      const Tensor tensor = store_floats(exact.values(), dtype, {37, 530});
      const PackedWeight packed(ctx, tensor.view(), compute);
      EXPECT_EQ(packed.bytes(), packed_bytes(37, 530, compute));
      Matrix y(9, 37);
      matmul(ctx, x.view(), packed, y.view());
      EXPECT_TRUE(same_bits(y, expected)) << name_of(dtype);
    }
  }
}

TEST(Gemm, PackedBytesOfKnownSizes) {
  // f32: 33 outputs are 2 panels of 32, 17 of depth round up to 32: 2 * 32 * 32 * 4 bytes.
  EXPECT_EQ(packed_bytes(33, 17, Compute::f32), 8192U);
  const std::size_t element = has_fast_bf16() ? 2 : 4;
  EXPECT_EQ(packed_bytes(64, 4096, Compute::bf16), 64U * 4096U * element);
}

TEST(Gemm, ScratchIsTheActivationsAndABlockPerThread) {
  // 512 rows of f32 at most: 512 x 4096 x 4 bytes, rows rounded up to whole panels (at most 14).
  const std::size_t one = matmul_scratch_bytes(2048, 4096, 1, Compute::f32);
  const std::size_t two = matmul_scratch_bytes(2048, 4096, 2, Compute::f32);
  const std::size_t packed = 2 * one - two;
  EXPECT_GE(packed, 512U * 4096U * 4U);
  EXPECT_LT(packed, 526U * 4096U * 4U);
  EXPECT_LT(two - one, std::size_t{1} << 20);
}

TEST(Gemm, NaNAndInfinityReachTheirOutputsOnly) {
  const Context ctx(1);
  Matrix x = reference::random_matrix(20, 40, 16);
  Matrix w = reference::random_matrix(40, 40, 17);
  x.view().row(3)[5] = std::numeric_limits<float>::quiet_NaN();
  w.view().row(8)[2] = std::numeric_limits<float>::infinity();
  for (const Isa isa : available_isas()) {
    for (const Compute compute : {Compute::f32, Compute::bf16}) {
      const Matrix y = multiply(ctx, x, w, compute, isa);
      for (std::int64_t t = 0; t < 20; ++t) {
        for (std::int64_t o = 0; o < 40; ++o) {
          EXPECT_EQ(std::isfinite(y.view().row(t)[o]), t != 3 && o != 8) << isa_name(isa);
        }
      }
    }
  }
}

TEST(Gemm, UnequalSizesAreRefused) {
  const Context ctx(1);
  const Matrix x = reference::random_matrix(2, 8, 18);
  const Matrix w = reference::random_matrix(3, 9, 19);
  Matrix y(2, 3);
  EXPECT_THROW(matmul(ctx, x.view(), PackedWeight(ctx, w.view(), Compute::f32), y.view()), Error);
  const Tensor integers(DType::i8, {4, 4});
  EXPECT_THROW(PackedWeight(ctx, integers.view(), Compute::f32), Error);
}

TEST(Isa, PareIsaCapsTheChoice) {
  const Isa have[] = {Isa::scalar, Isa::avx2, Isa::avx512};
  EXPECT_EQ(detail::choose_isa(nullptr, have), Isa::avx512);
  EXPECT_EQ(detail::choose_isa("", have), Isa::avx512);
  EXPECT_EQ(detail::choose_isa("scalar", have), Isa::scalar);
  EXPECT_EQ(detail::choose_isa("avx2", have), Isa::avx2);
}

TEST(Isa, UnknownOrUnavailableIsAnErrorThatListsTheChoice) {
  const Isa have[] = {Isa::scalar, Isa::avx2};
  for (const char* wanted : {"amx", "AVX2", "sse"}) {
    try {
      detail::choose_isa(wanted, have);
      ADD_FAILURE() << wanted;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::bad_option_value);
      EXPECT_NE(e.hint().find("scalar, avx2"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace pare::kernels
