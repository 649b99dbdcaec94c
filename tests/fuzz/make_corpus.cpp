// Writes a small encoded tensor of every sort to a folder, as first inputs for the fuzzer.
// Usage: pare_fuzz_make_corpus FOLDER
#include "codec/distributions.h"
#include "fuzz/codec_input.h"
#include "pare/codec.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using namespace pare;

struct Sample {
  std::string name;
  DType dtype;
  codec::Content content;
  test::Bytes bytes;
};

std::vector<Sample> samples() {
  using Kind = test::WeightSource::Kind;
  std::vector<Sample> out;
  const auto add = [&](std::string name, DType dtype, test::Bytes bytes,
                       codec::Content content = codec::Content::elements) {
    bytes.resize(bytes.size() / size_of(dtype) * size_of(dtype));
    out.push_back({std::move(name), dtype, content, std::move(bytes)});
  };
  add("empty", DType::i8, {});
  add("one", DType::i8, test::Bytes(1));
  add("constant", DType::i8, test::Bytes(1000, std::byte{7}));
  for (const double bits : {0.3, 1.0, 1.5, 2.5, 4.0, 5.5, 7.0}) {
    for (const std::size_t count : {900U, 6000U, 70000U}) {
      const std::string name =
          "bits" + std::to_string(static_cast<int>(10 * bits)) + "_" + std::to_string(count);
      add(name, DType::i8, test::plain_codes(Kind::gauss, bits, count, 1));
    }
  }
  add("sparse", DType::i8, test::sparse_codes(Kind::t4, 0.05, false, 10, 1000, 2));
  add("spread", DType::i8, test::sparse_codes(Kind::t4, 0.10, true, 10, 1000, 3));
  add("spread_long", DType::i8, test::sparse_codes(Kind::gauss, 0.05, true, 70, 1000, 4));
  add("nibbles", DType::u8, test::plain_codes(Kind::gauss, 5.0, 5000, 5),
      codec::Content::packed_nibbles);
  add("bf16", DType::bf16, test::plain_codes(Kind::gauss, 5.0, 6000, 6));
  add("f16", DType::f16, test::plain_codes(Kind::laplace, 3.0, 40000, 7));
  add("f32", DType::f32, test::plain_codes(Kind::gauss, 4.0, 9000, 8));
  return out;
}

void append(std::vector<std::byte>& out, std::span<const std::byte> part) {
  out.insert(out.end(), part.begin(), part.end());
}

std::vector<std::byte> encoded(const Sample& sample, codec::Tier tier, std::uint8_t mode) {
  const Context ctx(1);
  const auto numel = static_cast<std::int64_t>(sample.bytes.size() / size_of(sample.dtype));
  const TensorView tensor{sample.dtype, Shape{numel}, sample.bytes};
  codec::TensorEncoder encoder(ctx, tensor, tier, sample.content);
  RawBytes payload;
  encoder.encode(ctx, encoder.tiles(), payload);
  std::vector<std::byte> index;
  for (const codec::TileEntry& entry : encoder.index()) {
    const std::uint32_t row[2] = {entry.offset, entry.checksum};
    append(index, std::as_bytes(std::span(row)));
  }
  const auto info = encoder.info();
  std::vector<std::byte> out = {std::byte{mode}};
  for (const std::size_t length : {info.size(), index.size()}) {
    out.push_back(static_cast<std::byte>(length));
    out.push_back(static_cast<std::byte>(length >> 8));
  }
  append(out, info);
  append(out, index);
  append(out, payload);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: pare_fuzz_make_corpus FOLDER\n");
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  for (const Sample& sample : samples()) {
    for (const auto tier : {codec::Tier::dense, codec::Tier::fast}) {
      const std::uint8_t mode = tier == codec::Tier::dense ? fuzz::kFixChecksums : 0;
      const auto bytes = encoded(sample, tier, mode);
      const std::string name = sample.name + (tier == codec::Tier::dense ? "_dense" : "_fast");
      std::ofstream file(std::filesystem::path(argv[1]) / name, std::ios::binary);
      file.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
      if (!file) {
        std::fprintf(stderr, "cannot write %s\n", name.c_str());
        return 1;
      }
    }
  }
}
