#include "codec/stream/sampler.h"

#include <algorithm>

namespace pare::codec::detail {

namespace {

constexpr std::size_t kBlocks = 4;

}  // namespace

std::span<const std::byte> tile_of(const TensorView& tensor, std::int64_t tile) noexcept {
  const std::size_t begin = static_cast<std::size_t>(tile) * kTileBytes;
  return tensor.data.subspan(begin, std::min(kTileBytes, tensor.data.size() - begin));
}

void Sampler::add(std::int64_t tile, std::size_t part) {
  const auto bytes = tile_of(tensor_, tile);
  const std::size_t element = size_of(tensor_.dtype);
  const auto append = [&](std::span<const std::byte> piece) {
    const auto symbols = buffer_.split(transform_, element, piece);
    symbols_.insert(symbols_.end(), symbols.begin(), symbols.end());
  };
  if (part == 1 || bytes.size() < kTileBytes) {
    append(bytes);
    return;
  }
  // Blocks of whole chunks of whole elements, the first of each quarter.
  const std::size_t block = kTileBytes / kBlocks / part;
  for (std::size_t i = 0; i < kBlocks; ++i)
    append(bytes.subspan(i * kTileBytes / kBlocks, block));
}

}  // namespace pare::codec::detail
