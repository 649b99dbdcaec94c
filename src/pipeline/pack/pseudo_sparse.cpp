#include "pipeline/pack/pseudo_sparse.h"

#include "core/rng.h"
#include "io/hash.h"

namespace pare::pipeline {

std::optional<std::vector<std::byte>> pseudo_sparse(const PseudoSparse& sparse,
                                                    const containers::TensorInfo& info,
                                                    std::span<const std::byte> bytes) {
  if (info.dtype != DType::i8 || info.shape.rank() != 2) return std::nullopt;
  const std::uint64_t name = io::xxh3(std::as_bytes(std::span(info.name.data(), info.name.size())));
  Rng rng(sparse.seed ^ name);
  std::vector<std::byte> masked(bytes.begin(), bytes.end());
  for (std::byte& weight : masked) {
    if (rng.uniform() >= sparse.ratio) weight = std::byte{0};
  }
  return masked;
}

}  // namespace pare::pipeline
