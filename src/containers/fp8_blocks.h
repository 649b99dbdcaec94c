// FP8 weights with block scales, as DeepSeek-V3 and others are published, read as bf16 weights.
#pragma once

#include "containers/tensor_source.h"

#include <cstdint>
#include <memory>

namespace pare::containers {

/// Rows and columns of a weight that share one scale.
struct Fp8Blocks {
  std::int64_t rows = 128;
  std::int64_t columns = 128;
};

/// The tensors of `source`, where every F8_E4M3 matrix X [O, I] with a tensor X_scale_inv
/// [ceil(O / rows), ceil(I / columns)] is a BF16 matrix of code times scale, rounded half to even.
/// The scales themselves are not listed. A matrix is decoded when it is read, and its rows alone
/// when only they are asked for.
/// Source: DeepSeek-V3, inference/fp8_cast_bf16.py (weight_dequant). E4M3 without infinities:
/// Micikevicius et al., arXiv:2209.05433.
/// Errors: tensor_mismatch when scales have another shape or are no floats, or a matrix of FP8
///         codes has none.
std::unique_ptr<TensorSource> dequantize_fp8_blocks(std::unique_ptr<TensorSource> source,
                                                    Fp8Blocks blocks);

}  // namespace pare::containers
