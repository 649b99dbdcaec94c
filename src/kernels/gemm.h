// Matrix product of activations with a packed weight: the work of a calibration forward.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "pare/context.h"
#include "pare/tensor.h"

namespace pare::kernels {

/// Arithmetic of a product. f32: fused multiply-add in f32, k in ascending order, the same bits on
/// every CPU. bf16: both operands rounded to bf16, products summed in f32; bits differ by CPU.
enum class Compute { f32, bf16 };

/// The instruction-set variants, best last. PARE_ISA=scalar|avx2|avx512|avx512bf16|amx in the
/// environment caps the choice; an unknown value or one this CPU lacks is Error(bad_option_value).
enum class Isa { scalar, avx2, avx512, avx512bf16, amx };

/// The best variant this CPU (and PARE_ISA) allows.
Isa current_isa();
std::string_view isa_name(Isa isa) noexcept;
/// Every variant this CPU can run, for tests.
std::vector<Isa> available_isas();
/// True when bf16 products run on bf16 instructions here.
bool has_fast_bf16();

/// A weight [O, I] laid out for the micro-kernel of one ISA and one Compute.
class PackedWeight {
 public:
  PackedWeight() = default;
  /// Shapes: weight [O, I] of f32, f16 or bf16 (may be mapped). Threads: rows in parallel.
  PackedWeight(const Context& ctx, const TensorView& weight, Compute compute);
  PackedWeight(const Context& ctx, MatrixView<const float> weight, Compute compute);
  PackedWeight(const Context& ctx, MatrixView<const float> weight, Compute compute, Isa isa);

  std::int64_t out() const noexcept { return out_; }
  std::int64_t in() const noexcept { return in_; }
  bool empty() const noexcept { return out_ == 0; }
  Compute compute() const noexcept { return compute_; }
  Isa isa() const noexcept { return isa_; }
  /// Memory of the packed copy; packed_bytes(out, in, compute) says it in advance.
  std::size_t bytes() const noexcept;
  const std::byte* data() const noexcept { return data_.get(); }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept;
  };
  std::int64_t out_ = 0;
  std::int64_t in_ = 0;
  Compute compute_ = Compute::f32;
  Isa isa_ = Isa::scalar;
  std::size_t bytes_ = 0;
  std::unique_ptr<std::byte, Free> data_;
};

std::size_t packed_bytes(std::int64_t out, std::int64_t in, Compute compute);

/// y [T, O] = x [T, I] · Wᵀ. Any T >= 1, any O and I (edges are handled inside).
/// Threads: fixed blocks of the output; the same bytes for any thread count. With T = 1..4
/// (generation) a path that streams W once at memory speed.
void matmul(const Context& ctx, MatrixView<const float> x, const PackedWeight& w,
            MatrixView<float> y);

/// Activations laid out once for several products with the same left side (q/k/v, gate/up).
/// Keeps its memory from one pack to the next.
class PackedInput {
 public:
  PackedInput();
  ~PackedInput();
  PackedInput(const PackedInput&) = delete;
  PackedInput& operator=(const PackedInput&) = delete;

  /// Lays out x [T, I] for products with `like` and every weight of the same in(), compute() and
  /// isa(). x is not needed afterwards. Threads: row panels in parallel.
  void pack(const Context& ctx, MatrixView<const float> x, const PackedWeight& like);

  std::int64_t rows() const noexcept;
  std::int64_t cols() const noexcept;

 private:
  friend struct InputAccess;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What a product does with y.
enum class Output { store, add };  // y = x · Wᵀ, or y += x · Wᵀ (the sum is added in one rounding)

/// The same product from activations packed before; the same bytes as matmul(x, w, y) gives, and
/// with Output::add the same as add_rows(y, x · Wᵀ).
void matmul(const Context& ctx, const PackedInput& x, const PackedWeight& w, MatrixView<float> y,
            Output output = Output::store);
void matmul_add(const Context& ctx, MatrixView<const float> x, const PackedWeight& w,
                MatrixView<float> y);

/// Memory that products of at most `rows` x `in` activations keep: the calling thread's packed
/// activations and every thread's block of the output. For plans of peak memory.
std::size_t matmul_scratch_bytes(std::int64_t rows, std::int64_t in, int threads, Compute compute);

/// Plain product of two f32 matrices without packing, for small or one-off work:
/// y [T, O] = x [T, I] · w[O, I]ᵀ.
void matmul(const Context& ctx, MatrixView<const float> x, MatrixView<const float> w,
            MatrixView<float> y);

}  // namespace pare::kernels
