// Packed weight files: there and back, read like the original, and every kind of damage found.
#include "containers/npy/reader.h"
#include "containers/npy/writer.h"
#include "containers/packed/file.h"
#include "containers/packed/weight_ranges.h"
#include "containers/packed/writer.h"
#include "containers/safetensors/header.h"
#include "containers/safetensors_files.h"
#include "core/rng.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <string>
#include <vector>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;
using pare::test::get_file;
using pare::test::put_file;
using pare::test::TempDir;
using test::bytes_of;
using test::counting;
using test::info_of;

/// Codes around zero, a few far out: what coding is made for.
std::string codes(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const double sum = rng.uniform() + rng.uniform() + rng.uniform() - 1.5;
    bytes += static_cast<char>(i % 97 == 0 ? 90 : std::lround(4 * sum));
  }
  return bytes;
}

/// A file no writer of ours would make: spaces in the header, metadata, tensors in any order.
std::string odd_file() {
  const std::string header =
      R"({ "__metadata__" : {"who":"somebody else"}, "m.weight":{"dtype":"I8","shape":[200,200],)"
      R"("data_offsets":[4,40004]}, "bias":{"shape":[1],"dtype":"F32","data_offsets":[0,4]},)"
      R"("none":{"dtype":"F16","shape":[0,3],"data_offsets":[40004,40004]},)"
      R"("one":{"dtype":"I64","shape":[],"data_offsets":[40004,40012]},)"
      R"("noise":{"dtype":"U8","shape":[700],"data_offsets":[40012,40712]}}     )";
  Rng rng(9);
  std::string noise;
  for (int i = 0; i < 700; ++i)
    noise += static_cast<char>(rng.next());
  return test::file_bytes(header, "\x01\x02\x03\x04" + codes(40000, 1) + "12345678" + noise);
}

struct Packed {
  PackedResult result;
  std::vector<TensorRange> ranges;
};

Packed pack(const fs::path& from, const fs::path& to, const PackOptions& options = {},
            int threads = 2) {
  const Context ctx(threads);
  const io::MappedFile file(from);
  Packed packed;
  packed.ranges =
      from.extension() == ".npy" ? npy_dict_ranges(file).value() : safetensors_ranges(file);
  packed.result = pack_file(ctx, file, packed.ranges, to, options);
  return packed;
}

std::string rebuilt(const fs::path& path) {
  const Context ctx(2);
  std::string bytes;
  PackedFile(path).rebuild(ctx, [&](std::span<const std::byte> piece) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return bytes;
}

TEST(PackedFile, GivesBackEveryByteOfAnOddFile) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  const Packed packed = pack(dir / "a.safetensors", dir / "p.safetensors", {.mode = 0400});
  EXPECT_EQ(rebuilt(dir / "p.safetensors"), odd_file());
  EXPECT_EQ(packed.result.original_bytes, odd_file().size());
  EXPECT_EQ(packed.result.packed_bytes, fs::file_size(dir / "p.safetensors"));
  struct stat info {};
  ASSERT_EQ(::stat((dir / "p.safetensors").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0400U);
  std::vector<std::string> coded;
  for (const PackedTensor& tensor : packed.result.tensors) {
    if (tensor.coded) coded.push_back(tensor.info.name);
  }
  EXPECT_THAT(coded, testing::ElementsAre("m.weight"));
  EXPECT_LT(packed.result.packed_bytes, 26000U);  // 40 KB of about 3 bits each, and the rest
}

TEST(PackedFile, IsAValidSafetensorsFileWithAlignedTensors) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  pack(dir / "a.safetensors", dir / "p.safetensors");
  const io::MappedFile file(dir / "p.safetensors");
  const SafetensorsHeader header = parse_safetensors_header(file.bytes(), "p");
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_EQ(header.metadata.at("pare_codec"), "1");
  std::vector<std::string> names;
  for (const SafetensorsEntry& entry : header.entries) {
    names.push_back(entry.info.name);
    EXPECT_EQ(entry.begin % size_of(entry.info.dtype), 0U) << entry.info.name;
  }
  EXPECT_THAT(names, testing::ElementsAre("bias", "m.index", "m.info", "m.weight", "noise", "none",
                                          "one", "pare.file", "pare.seal", "pare.skeleton"));
}

TEST(PackedFile, IsReadLikeTheOriginal) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  pack(dir / "a.safetensors", dir / "p.safetensors");
  const auto original = open_checkpoint(dir / "a.safetensors");
  const auto packed = open_checkpoint(dir / "p.safetensors");
  ASSERT_EQ(packed->tensors().size(), original->tensors().size());
  for (std::size_t i = 0; i < original->tensors().size(); ++i) {
    const TensorInfo& info = original->tensors()[i];
    EXPECT_EQ(packed->tensors()[i].name, info.name);
    const TensorView view = packed->read(info.name);
    EXPECT_EQ(view.dtype, info.dtype);
    EXPECT_EQ(view.shape, info.shape);
    EXPECT_EQ(bytes_of(view), bytes_of(original->read(info.name))) << info.name;
  }
}

TEST(PackedFile, DecodedBytesAreSharedUntilReleasedAndLiveAsLongAsTheirViews) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  pack(dir / "a.safetensors", dir / "p.safetensors");
  const auto packed = open_checkpoint(dir / "p.safetensors");
  TensorView first = packed->read("m.weight");
  TensorView second = packed->read("m.weight");
  EXPECT_EQ(first.data.data(), second.data.data());
  EXPECT_EQ(first.owner.use_count(), 3);
  packed->release("m.weight");
  EXPECT_EQ(first.owner.use_count(), 2);
  EXPECT_EQ(bytes_of(first), codes(40000, 1));
  std::weak_ptr<const void> watched = first.owner;
  first = {};
  second = {};
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(bytes_of(packed->read("m.weight")), codes(40000, 1));
}

TEST(PackedFile, RowsAreThoseOfTheWholeWhereverTilesEnd) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  pack(dir / "a.safetensors", dir / "p.safetensors");
  const auto source = open_checkpoint(dir / "p.safetensors");
  const std::string whole = codes(40000, 1);  // 200 x 200; a tile ends in row 163
  for (const auto& [first, count] :
       {std::pair{0, 1}, {163, 1}, {162, 3}, {199, 1}, {7, 0}, {0, 200}}) {
    const TensorView rows = source->read_rows("m.weight", first, count);
    EXPECT_EQ(rows.shape, (Shape{count, 200}));
    EXPECT_EQ(bytes_of(rows), whole.substr(static_cast<std::size_t>(first) * 200,
                                           static_cast<std::size_t>(count) * 200));
  }
  const TensorView kept = source->read("m.weight");
  EXPECT_EQ(source->read_rows("m.weight", 5, 2).data.data(), kept.data.data() + 1000);
}

/// Small, so that every byte of it can be broken in turn.
fs::path small_packed(const TempDir& dir) {
  const std::string header =
      R"({"m.weight":{"dtype":"I8","shape":[30,40],"data_offsets":[0,1200]},)"
      R"("scale":{"dtype":"F32","shape":[2],"data_offsets":[1200,1208]}})";
  put_file(dir / "a.safetensors", test::file_bytes(header, codes(1200, 3) + "abcdefgh"));
  const Packed packed = pack(dir / "a.safetensors", dir / "p.safetensors");
  EXPECT_TRUE(packed.result.tensors[0].coded);
  return dir / "p.safetensors";
}

/// True when opening, reading everything and rebuilding ends with an error about the file.
bool is_refused(const fs::path& path) {
  const Context ctx(1);
  try {
    const PackedFile file(path);
    file.rebuild(ctx, [](std::span<const std::byte>) {});
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(path.filename().string()));
    return error.kind() == ErrorKind::bad_format || error.kind() == ErrorKind::unsupported;
  }
  return false;
}

/// The same through the reader that other commands use.
bool is_refused_by_reader(const fs::path& path) {
  try {
    const auto source = open_checkpoint(path);
    for (const TensorInfo& info : source->tensors())
      source->read(info.name);
  } catch (const Error& error) {
    return error.kind() == ErrorKind::bad_format || error.kind() == ErrorKind::unsupported;
  }
  return false;
}

TEST(PackedFile, EveryFlippedBitIsFound) {
  const TempDir dir;
  const fs::path path = small_packed(dir);
  const std::string good = get_file(path);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int mask : {1 << at % 8, 0xFF}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ mask);
      put_file(dir / "bad.safetensors", bad);
      ASSERT_TRUE(is_refused(dir / "bad.safetensors")) << "byte " << at << " of " << good.size();
      ASSERT_TRUE(is_refused_by_reader(dir / "bad.safetensors")) << "byte " << at;
    }
  }
}

TEST(PackedFile, EveryTruncationIsFound) {
  const TempDir dir;
  const std::string good = get_file(small_packed(dir));
  for (std::size_t size = 0; size < good.size(); ++size) {
    put_file(dir / "bad.safetensors", good.substr(0, size));
    ASSERT_TRUE(is_refused(dir / "bad.safetensors")) << size << " of " << good.size();
    ASSERT_TRUE(is_refused_by_reader(dir / "bad.safetensors")) << size;
  }
  put_file(dir / "bad.safetensors", good + "x");
  EXPECT_TRUE(is_refused(dir / "bad.safetensors"));
}

TEST(PackedFile, DamageInAPayloadIsPlacedAtTensorAndTile) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  pack(dir / "a.safetensors", dir / "p.safetensors");
  std::string bad = get_file(dir / "p.safetensors");
  const io::MappedFile file(dir / "p.safetensors");
  const SafetensorsHeader header = parse_safetensors_header(file.bytes(), "p");
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.info.name == "m.weight") bad[entry.end - 3] ^= 4;  // in the second and last tile
  }
  put_file(dir / "bad.safetensors", bad);
  const std::string text = PARE_ERROR_TEXT(corrupt_stream, rebuilt(dir / "bad.safetensors"));
  EXPECT_THAT(text, testing::HasSubstr("tile 1"));
  EXPECT_THAT(text, testing::HasSubstr("m.weight"));
  EXPECT_THAT(text, testing::HasSubstr("bad.safetensors"));
}

TEST(PackedFile, TheBytesDoNotDependOnThreads) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  for (const int threads : {1, 2, 7}) {
    pack(dir / "a.safetensors", dir / std::to_string(threads), {}, threads);
  }
  EXPECT_EQ(get_file(dir / "1"), get_file(dir / "2"));
  EXPECT_EQ(get_file(dir / "1"), get_file(dir / "7"));
}

TEST(PackedWriter, TensorsWhoseNamesWouldClashStayAsTheyAre) {
  const TempDir dir;
  const SafetensorsLayout layout{.folder = dir.path(), .base_name = "a", .max_shard_bytes = {}};
  std::vector<TensorInfo> infos;
  for (const char* name : {"a", "a.weight", "b.weight", "b.info", "c.weight", "d.weight"}) {
    infos.push_back(info_of(name, DType::i8, {2000}));
  }
  SafetensorsWriter writer(layout, infos);
  const std::string bytes = codes(2000, 5);
  for (const TensorInfo& info : infos) {
    writer.write(info.name, {info.dtype, info.shape, std::as_bytes(std::span(bytes)), nullptr});
  }
  writer.finish();
  const std::set<std::string> taken = {"c.index"};
  const PackOptions options{
      .leave = {}, .content = {}, .replace = {}, .taken = &taken, .progress = {}};
  const Packed packed = pack(dir / "a.safetensors", dir / "p.safetensors", options);
  std::vector<std::string> coded;
  for (const PackedTensor& tensor : packed.result.tensors) {
    if (tensor.coded) coded.push_back(tensor.info.name);
  }
  // "a" takes a.index, so "a.weight" cannot; b.info is itself a tensor; c.index is in another file.
  EXPECT_THAT(coded, testing::ElementsAre("a", "b.info", "d.weight"));
  EXPECT_EQ(rebuilt(dir / "p.safetensors"), get_file(dir / "a.safetensors"));
}

TEST(PackedWriter, NamesOfPackedFilesAreRefused) {
  const TempDir dir;
  const SafetensorsLayout layout{.folder = dir.path(), .base_name = "a", .max_shard_bytes = {}};
  test::write_counting(layout, {info_of("pare.seal", DType::u8, {8})});
  const std::string text =
      PARE_ERROR_TEXT(feature_not_supported, pack(dir / "a.safetensors", dir / "p.safetensors"));
  EXPECT_THAT(text, testing::HasSubstr("pare.seal"));
}

TEST(PackedWriter, OtherBytesInATensorsPlaceAreWhatTheFileStandsFor) {
  const TempDir dir;
  put_file(dir / "a.safetensors", odd_file());
  PackOptions options;
  options.leave = [](const TensorInfo& info) { return info.name == "m.weight"; };
  options.replace = [](const TensorInfo& info, std::span<const std::byte> bytes) {
    std::optional<std::vector<std::byte>> other;
    if (info.name != "one") other.emplace(bytes.size(), std::byte{7});
    return other;
  };
  pack(dir / "a.safetensors", dir / "p.safetensors", options);
  std::string expected = odd_file();
  const std::size_t data = expected.size() - 40712;
  std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(data), 40004, '\x07');
  std::fill_n(expected.end() - 700, 700, '\x07');
  EXPECT_EQ(rebuilt(dir / "p.safetensors"), expected);
}

TEST(PackedNpy, BothKindsOfValuesComeBack) {
  for (const NpyValues values : {NpyValues::numpy, NpyValues::torch}) {
    const TempDir dir;
    const std::string bytes = codes(6000, 8);
    const Tensor scale = counting(info_of("s", DType::f32, {60, 1}), 3);
    NpyDictWriter writer(dir / "quant_weight.npy", values, 0400);
    writer.add("layers.0.q_proj",
               {DType::i8, Shape{60, 100}, std::as_bytes(std::span(bytes)), nullptr});
    writer.add("scale", scale.view());
    writer.finish();
    const fs::path packed = packed_npy_name(dir / "quant_weight.npy");
    EXPECT_EQ(packed.filename(), "quant_weight.npy.safetensors");
    EXPECT_TRUE(pack(dir / "quant_weight.npy", packed).result.tensors[0].coded);
    const std::string original = get_file(dir / "quant_weight.npy");
    EXPECT_EQ(rebuilt(packed), original);
    fs::remove(dir / "quant_weight.npy");
    EXPECT_TRUE(npy_dict_exists(dir / "quant_weight.npy"));
    const auto source = open_npy_dict(dir / "quant_weight.npy");
    EXPECT_EQ(bytes_of(source->read("layers.0.q_proj")), bytes);
    EXPECT_EQ(bytes_of(source->read("scale")), bytes_of(scale.view()));
  }
}

TEST(PackedNpy, WhatRangesCannotSayIsLeftAlone) {
  const TempDir dir;
  put_file(dir / "text.npy", "no array at all");
  EXPECT_FALSE(npy_dict_ranges(io::MappedFile(dir / "text.npy")));
  const Tensor plain = counting(info_of("s", DType::f32, {3, 2}), 3);
  write_npy(dir / "plain.npy", plain.view());
  EXPECT_FALSE(npy_dict_ranges(io::MappedFile(dir / "plain.npy")));
  const fs::path golden = fs::path(PARE_SOURCE_DIR) / "tests/containers/golden";
  int files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(golden)) {
    if (entry.path().extension() != ".npy") continue;
    ++files;
    const io::MappedFile file(entry.path());
    const auto ranges = npy_dict_ranges(file);
    if (!ranges) continue;
    const auto source = open_npy_dict(entry.path());
    for (const TensorRange& range : *ranges) {
      const std::span<const std::byte> bytes =
          file.bytes().subspan(range.begin, range.end - range.begin);
      EXPECT_EQ(bytes_of({range.info.dtype, range.info.shape, bytes, nullptr}),
                bytes_of(source->read(range.info.name)));
    }
  }
  EXPECT_GT(files, 0);
}

TEST(CompressedFolder, ShardsAreHeldAgainstAnIndexThatNamesWhatLiesOnDisk) {
  const TempDir dir;
  put_file(dir / "model-00001-of-00001.safetensors", odd_file());
  pack(dir / "model-00001-of-00001.safetensors", dir / "p");
  fs::rename(dir / "p", dir / "model-00001-of-00001.safetensors");
  const auto index = [](const char* more) {
    std::string text = R"({"metadata":{"total_size":1},"weight_map":{)";
    for (const char* name : {"bias", "m.weight", "none", "one", "noise", "m.info"}) {
      text += std::string("\"") + name + R"(":"model-00001-of-00001.safetensors",)";
    }
    return text + "\"" + more + R"(":"model-00001-of-00001.safetensors"}})";
  };
  const fs::path file = dir / "model.safetensors.index.json";
  put_file(file, index("m.index"));
  EXPECT_EQ(open_checkpoint(dir.path())->tensors().size(), 5U);
  put_file(file, index("m.other"));
  PARE_ERROR_TEXT(bad_index, open_checkpoint(dir.path()));
}

TEST(PackedManifest, HostileTextsAreRefused) {
  const std::string head = R"({"pare_codec":1,"file":"a","size":100,"sha256":")" +
                           std::string(64, '0') + R"(","ranges":[)";
  const std::string good = R"([10,8,"t","F32",[2],"0123456789abcdef"])";
  EXPECT_EQ(parse_manifest(head + good + "]}").ranges.at(0).end, 18U);
  for (const char* bad : {
           R"([10,8,"t","F32",[3],null])",                      // 12 bytes
           R"([95,8,"t","F32",[2],null])",                      // past the end
           R"([18446744073709551612,8,"t","F32",[2],null])",    // wraps
           R"([10,8,"t","f 9",[2],null])",                      // no name of a type
           R"([10,8,"t","F99",[65],null])",                     // 65 elements in 8 bytes
           R"([10,8,"t","F32",[4611686018427387904,4],null])",  // shape wraps to 0
           R"([10,8,"t","F32",[-2],null])",
           R"([10,8,"t","F32",[2],"xyz"])",
           R"([10,8,"t","F32",[2]])",
           R"([10,8,"t","F32",[2],null],[14,4,"u","F32",[1],null])",  // overlap
           R"([50,8,"t","F32",[2],null],[10,4,"u","F32",[1],null])",  // not by place
           R"({"a":1})",
           "7",
       }) {
    SCOPED_TRACE(bad);
    PARE_ERROR_TEXT(corrupt_stream, parse_manifest(head + bad + "]}"));
  }
  PARE_ERROR_TEXT(feature_not_supported, parse_manifest(R"({"pare_codec":2})"));
  PARE_ERROR_TEXT(corrupt_stream, parse_manifest(R"({"pare_codec":1})"));
  PARE_ERROR_TEXT(corrupt_stream, parse_manifest("[1"));
}

}  // namespace
}  // namespace pare::containers
