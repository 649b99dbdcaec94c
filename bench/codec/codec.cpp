// The codec against zstd and memcpy on one core: size, encoding, decoding, one tile alone.
// Usage: pare_bench_codec [MiB of a tensor] [rounds] [only names with this]
// With --write FILE bf16 weights go to FILE, for against_zipnn.py.
#include "pare/codec.h"

#include "codec/data.h"
#include "timing.h"

#include <time.h>
#include <zstd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace {

using namespace pare;
using test::Bytes;

constexpr std::size_t kUnit = std::size_t{4} << 20;  // bytes that are made; then they repeat

struct Result {
  double over_entropy = 0;  // percent
  double over_zstd19 = 0;
  double encode_vs_zstd = 0;
  double decode_vs_zstd = 0;
  double decode_vs_memcpy = 0;
  double tile_warm_us = 0;
  double tile_cold_us = 0;
};

struct Coded {
  std::vector<std::byte> info, index;
  RawBytes payload;
  std::size_t bytes() const { return info.size() + index.size() + payload.size(); }
};

void encode(const Context& ctx, const TensorView& tensor, Coded& coded) {
  codec::TensorEncoder encoder(ctx, tensor, codec::Tier::dense, codec::Content::elements);
  coded.payload.clear();
  encoder.encode(ctx, encoder.tiles(), coded.payload);
  coded.info = encoder.info();
  coded.index.clear();
  for (const codec::TileEntry& entry : encoder.index()) {
    const std::uint32_t row[2] = {entry.offset, entry.checksum};
    const auto bytes = std::as_bytes(std::span(row));
    coded.index.insert(coded.index.end(), bytes.begin(), bytes.end());
  }
}

Bytes repeated(const Bytes& unit, std::size_t bytes) {
  Bytes out(bytes);
  for (std::size_t at = 0; at < bytes; at += unit.size())
    std::memcpy(out.data() + at, unit.data(), std::min(unit.size(), bytes - at));
  return out;
}

/// Seconds of this thread on the CPU: a busy machine takes the core away, and that is nobody's
/// time.
double cpu_seconds_of(const std::function<void()>& fn) {
  const auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  fn();
  return now() - start;
}

void time_in_turn(std::vector<bench::Side>& sides, int rounds) {
  for (bench::Side& side : sides)
    side.fn();  // warm-up
  for (int round = 0; round < rounds; ++round) {
    for (bench::Side& side : sides)
      side.seconds.push_back(cpu_seconds_of(side.fn));
  }
}

/// Microseconds for one tile, tiles in random order; `span` of them are gone through.
double tile_us(const codec::TensorDecoder& decoder, std::int64_t span,
               std::vector<std::byte>& out) {
  codec::Scratch scratch;
  std::mt19937 random(3);
  std::vector<double> seconds;
  for (int i = 0; i < 2000; ++i) {
    const std::int64_t tile = std::uniform_int_distribution<std::int64_t>(0, span - 1)(random);
    const std::span<std::byte> place(out.data(), codec::kTileBytes);
    seconds.push_back(cpu_seconds_of([&] { decoder.decode_tiles(tile, 1, place, scratch); }));
  }
  return bench::median(seconds) * 1e6;
}

void check(const char* what, bool holds) {
  if (holds) return;
  std::fprintf(stderr, "bench: %s differs from what went in\n", what);
  std::exit(1);
}

std::size_t zstd19_bytes(const Bytes& unit) {
  std::vector<std::byte> out(ZSTD_compressBound(unit.size()));
  return ZSTD_compress(out.data(), out.size(), unit.data(), unit.size(), 19);
}

Result measure(const bench::Data& data, std::size_t bytes, int rounds) {
  const Bytes unit = data.make(kUnit);
  const Bytes plain = repeated(unit, bytes);
  const DType dtype = data.bf16 ? DType::bf16 : DType::i8;
  const auto numel = static_cast<std::int64_t>(bytes / size_of(dtype));
  const TensorView tensor{dtype, Shape{numel}, plain};
  const Context ctx(1);

  Coded coded;
  encode(ctx, tensor, coded);  // also sizes the payload once for all
  std::vector<std::byte> zstd(ZSTD_compressBound(bytes));
  std::vector<std::byte> back(bytes);
  ZSTD_CCtx* compressor = ZSTD_createCCtx();
  ZSTD_DCtx* expander = ZSTD_createDCtx();
  std::size_t zstd_bytes = 0;
  std::vector<bench::Side> sides = {
      {"pare encode", [&] { encode(ctx, tensor, coded); }},
      {"pare decode",
       [&] { codec::TensorDecoder(coded.info, coded.index, coded.payload).decode(ctx, back); }},
      {"memcpy", [&] { std::memcpy(back.data(), plain.data(), bytes); }},
      {"zstd -1 encode",
       [&] {
         zstd_bytes =
             ZSTD_compressCCtx(compressor, zstd.data(), zstd.size(), plain.data(), bytes, 1);
       }},
      {"zstd -1 decode",
       [&] { ZSTD_decompressDCtx(expander, back.data(), bytes, zstd.data(), zstd_bytes); }},
  };
  time_in_turn(sides, rounds);
  ZSTD_freeCCtx(compressor);
  ZSTD_freeDCtx(expander);
  check("zstd's output", back == plain);
  const codec::TensorDecoder decoder(coded.info, coded.index, coded.payload);
  decoder.decode(ctx, back);
  check("the decoded tensor", back == plain);

  const double n = static_cast<double>(bytes);
  const auto rate = [&](std::size_t side) { return n / bench::median(sides[side].seconds) / 1e9; };
  const double bits = 8 * static_cast<double>(coded.bytes()) / static_cast<double>(numel);
  const double bits1 = 8 * static_cast<double>(zstd_bytes) / static_cast<double>(numel);
  const double bits19 =
      8 * static_cast<double>(zstd19_bytes(unit)) / kUnit * static_cast<double>(size_of(dtype));
  Result r;
  const double entropy = test::entropy_of(unit);  // of bf16 it means nothing
  r.over_entropy = 100 * (bits / entropy - 1);
  r.over_zstd19 = 100 * (bits / bits19 - 1);
  r.encode_vs_zstd = bench::ratio(sides[3], sides[0]);
  r.decode_vs_zstd = bench::ratio(sides[4], sides[1]);
  r.decode_vs_memcpy = bench::ratio(sides[2], sides[1]);
  r.tile_warm_us = tile_us(decoder, 8, back);
  r.tile_cold_us = tile_us(decoder, decoder.tiles(), back);
  char over[16] = "-";
  if (!data.bf16) std::snprintf(over, sizeof over, "%+.2f%%", r.over_entropy);
  std::printf(
      "%-20s %7.3f %8s %7.3f %7.3f %+6.2f%% %6.2f %6.2f %7.2f %6.1fx %6.1fx %7.2fx %6.1f %6.1f\n",
      data.name.c_str(), bits, over, bits1, bits19, r.over_zstd19, rate(0), rate(1), rate(2),
      r.encode_vs_zstd, r.decode_vs_zstd, r.decode_vs_memcpy, r.tile_warm_us, r.tile_cold_us);
  std::fflush(stdout);
  return r;
}

void verdict(const char* target, bool held, const std::string& worst) {
  std::printf("%-4s %-58s worst: %s\n", held ? "PASS" : "FAIL", target, worst.c_str());
}

/// The worst of one figure over all data.
class Worst {
 public:
  explicit Worst(bool high) : high_(high) {}
  void see(double value, const std::string& where) {
    if (!where_.empty() && (high_ ? value <= value_ : value >= value_)) return;
    value_ = value;
    where_ = where;
  }
  double value() const { return value_; }
  std::string text() const {
    char number[32];
    std::snprintf(number, sizeof number, "%.2f", value_);
    return where_.empty() ? "none measured" : std::string(number) + " (" + where_ + ")";
  }

 private:
  bool high_;
  double value_ = 0;
  std::string where_;
};

int write_bf16(const char* path) {
  const Bytes plain = repeated(bench::bf16_weights(kUnit), std::size_t{128} << 20);
  std::FILE* file = std::fopen(path, "wb");
  const bool good =
      file != nullptr && std::fwrite(plain.data(), 1, plain.size(), file) == plain.size();
  if (file == nullptr || std::fclose(file) != 0 || !good) {
    std::fprintf(stderr, "bench: cannot write %s\n", path);
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--write") return write_bf16(argv[2]);
  const std::size_t bytes = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 128) << 20;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const std::string only = argc > 3 ? argv[3] : "";
  std::printf(
      "\ncodec on %s, 1 thread, tensors of %zu MiB, medians of %d interleaved rounds, zstd %s\n",
      bench::cpu_name().c_str(), bytes >> 20, rounds, ZSTD_versionString());
  std::printf(
      "bits per element; GB/s of plain bytes in CPU time; checksums counted; zstd -19 on 4 MiB\n");
  std::printf("%-20s %7s %8s %7s %7s %7s %6s %6s %7s %7s %7s %8s %6s %6s\n", "data", "bits",
              "over H0", "zstd-1", "zst-19", "vs z19", "enc", "dec", "memcpy", "enc/z1", "dec/z1",
              "dec/copy", "warm", "cold");
  Worst over(true), over19(true), encode_ratio(false), decode_ratio(false), copy_ratio(false),
      tile(true);
  for (const bench::Data& data : bench::all_data()) {
    if (data.name.find(only) == std::string::npos) continue;
    const Result r = measure(data, bytes, rounds);
    if (data.most_over > 0) over.see(r.over_entropy, data.name);
    over19.see(r.over_zstd19, data.name);
    encode_ratio.see(r.encode_vs_zstd, data.name);
    decode_ratio.see(r.decode_vs_zstd, data.name);
    copy_ratio.see(r.decode_vs_memcpy, data.name);
    tile.see(r.tile_warm_us, data.name);
  }
  verdict("size <= 1.5 % over the entropy (outliers up to 5 %)", over.value() <= 1.5, over.text());
  verdict("size <= 0.5 % over zstd -19", over19.value() <= 0.5, over19.text());
  verdict("encode >= 4 x zstd -1", encode_ratio.value() >= 4, encode_ratio.text());
  verdict("decode >= 3 x zstd -1", decode_ratio.value() >= 3, decode_ratio.text());
  verdict("decode >= 0.7 x memcpy, out of cache", copy_ratio.value() >= 0.7, copy_ratio.text());
  verdict("one tile of 32 KiB alone <= 8 us (warm)", tile.value() <= 8, tile.text());
}
