// A tensor encoded whole, for the codec's tests.
#pragma once

#include "codec/distributions.h"
#include "pare/codec.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace pare::test {

inline Bytes index_bytes(const std::vector<codec::TileEntry>& entries) {
  Bytes out;
  const auto put = [&](std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i)
      out.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  for (const codec::TileEntry& entry : entries) {
    put(entry.offset);
    put(entry.checksum);
  }
  return out;
}

struct Encoded {
  Bytes info, index, payload;
  bool worthwhile = false;

  std::size_t size() const { return info.size() + index.size() + payload.size(); }
  codec::TensorDecoder decoder() const { return {info, index, payload}; }
  Bytes decoded(int threads = 1) const {
    const codec::TensorDecoder decoder_ = decoder();
    Bytes out(decoder_.bytes());
    decoder_.decode(Context(threads), out);
    return out;
  }
};

/// `step`: tiles a call; 0 = all at once.
inline Encoded encode(const TensorView& tensor, codec::Tier tier = codec::Tier::dense,
                      codec::Content content = codec::Content::elements, int threads = 1,
                      std::int64_t step = 0) {
  const Context ctx(threads);
  codec::TensorEncoder encoder(ctx, tensor, tier, content);
  Encoded out;
  RawBytes payload;
  const std::int64_t tiles = encoder.tiles();
  for (std::int64_t done = 0; done < tiles; done += step == 0 ? tiles : step) {
    encoder.encode(ctx, step == 0 ? tiles : step, payload);
  }
  out.payload.assign(payload.begin(), payload.end());
  out.info = encoder.info();
  out.index = index_bytes(encoder.index());
  out.worthwhile = encoder.worthwhile();
  return out;
}

inline TensorView view_of(const Bytes& bytes, DType dtype = DType::i8) {
  return {dtype, Shape{static_cast<std::int64_t>(bytes.size() / size_of(dtype))}, bytes};
}

inline Bytes random_bytes(std::size_t count, unsigned seed) {
  std::mt19937_64 engine(seed);
  Bytes out(count);
  std::generate(out.begin(), out.end(), [&] { return static_cast<std::byte>(engine() >> 24U); });
  return out;
}

/// Gaussian floats of 2 or 4 bytes: f16, bf16 or f32.
inline Bytes gaussian_floats(DType dtype, std::size_t count, unsigned seed) {
  WeightSource source(WeightSource::gauss, seed);
  std::vector<float> values(count);
  for (float& v : values)
    v = static_cast<float>(source.next() * 0.02);
  Tensor tensor = store_floats(values, dtype, Shape{static_cast<std::int64_t>(count)});
  return {tensor.bytes().begin(), tensor.bytes().end()};
}

/// Two gaussian codes of -8..7 to a byte.
inline Bytes packed_codes(std::size_t bytes, unsigned seed) {
  WeightSource source(WeightSource::gauss, seed);
  const auto code = [&] {
    return static_cast<unsigned>(std::lround(std::clamp(source.next() * 2, -8.0, 7.0))) & 15U;
  };
  Bytes out(bytes);
  for (std::byte& b : out)
    b = static_cast<std::byte>(code() | code() << 4U);
  return out;
}

}  // namespace pare::test
