// The list of a packed folder, the small files rewritten for it, and pseudo-sparse weights.
#include "pipeline/pack/compressed_folder.h"

#include "io/hash.h"
#include "pipeline/pack/packed_texts.h"
#include "pipeline/pack/pseudo_sparse.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace pare::pipeline {
namespace {

using pare::test::get_file;
using pare::test::put_file;
using pare::test::TempDir;

CompressedFolder example() {
  CompressedFolder packed;
  packed.tier = "dense";
  packed.weight_bytes = 100;
  packed.packed_bytes = 60;
  packed.changed = PseudoSparse{0.5, 7};
  packed.files = {{"a/b.txt", "a/b.txt", 3, std::string(64, 'a'), 0640, Kept::copied, ""},
                  {"d.json", "originals/d.json", 4, std::string(64, 'b'), 0600, Kept::aside,
                   std::string(64, 'c')},
                  {"w.npy", "w.npy.safetensors", 5, std::string(64, 'd'), 0400, Kept::packed, ""}};
  return packed;
}

TEST(CompressedFolder, TheListComesBack) {
  const TempDir dir;
  EXPECT_FALSE(is_packed_folder(dir.path()));
  put_file(dir / "pare_packed.json", packed_folder_text(example()));
  EXPECT_TRUE(is_packed_folder(dir.path()));
  const CompressedFolder read = read_packed_folder(dir.path());
  EXPECT_EQ(packed_folder_text(read), packed_folder_text(example()));
  EXPECT_EQ(read.files[1].stored, "originals/d.json");
  EXPECT_EQ(read.files[2].mode, 0400U);
  EXPECT_EQ(read.changed->seed, 7U);
}

TEST(CompressedFolder, EveryFlipAndTruncationOfTheListIsFound) {
  const TempDir dir;
  const std::string good = packed_folder_text(example());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
    put_file(dir / "pare_packed.json", bad);
    const std::string text = PARE_ERROR_TEXT(corrupt_stream, read_packed_folder(dir.path()));
    ASSERT_THAT(text, testing::HasSubstr("pare_packed.json")) << "byte " << at;
    put_file(dir / "pare_packed.json", good.substr(0, at));
    PARE_ERROR_TEXT(corrupt_stream, read_packed_folder(dir.path()));
  }
}

/// A list with a right checksum over whatever it says.
std::string sealed(std::string body) {
  const std::uint64_t hash = io::xxh3(std::as_bytes(std::span(body.data(), body.size())));
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return body + ",\n  \"seal\": \"" + digits + "\"\n}\n";
}

TEST(CompressedFolder, NamesThatLeadOutOfTheFolderAreRefused) {
  const TempDir dir;
  for (const char* name : {"/etc/passwd", "../x", "a/../../x", ".", "", "a//", "./a"}) {
    put_file(dir / "pare_packed.json",
             sealed(std::string(R"({"pare_packed":1,"tier":"dense","weight_bytes":1,)") +
                    R"("packed_bytes":1,"files":[{"name":")" + name +
                    R"(","size":1,"sha256":"","mode":"0600","kept":"copied"}])"));
    const std::string text = PARE_ERROR_TEXT(corrupt_stream, read_packed_folder(dir.path()));
    EXPECT_THAT(text, testing::HasSubstr("no name of a file")) << name;
  }
}

TEST(CompressedFolder, WrongKindsOfValuesAreErrorsOfTheFile) {
  const TempDir dir;
  for (const char* body :
       {R"({"pare_packed":1)", R"({"pare_packed":"1")",
        R"({"pare_packed":1,"tier":"dense","weight_bytes":-1.5,"packed_bytes":1,"files":{}",)",
        R"({"pare_packed":1,"tier":"dense","weight_bytes":1,"packed_bytes":1,"files":[3])",
        R"({"pare_packed":1,"tier":"d","weight_bytes":1,"packed_bytes":1,"files":[{"name":"a",)"
        R"("size":1,"sha256":"","mode":"9","kept":"copied"}])",
        R"({"pare_packed":1,"tier":"d","weight_bytes":1,"packed_bytes":1,"files":[{"name":"a",)"
        R"("size":1,"sha256":"","mode":"0600","kept":"else"}])"}) {
    put_file(dir / "pare_packed.json", sealed(body));
    try {
      read_packed_folder(dir.path());
      ADD_FAILURE() << body;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_format) << error.what();
    }
  }
  put_file(dir / "pare_packed.json", sealed(R"({"pare_packed":2)"));
  PARE_ERROR_TEXT(feature_not_supported, read_packed_folder(dir.path()));
  std::filesystem::remove(dir / "pare_packed.json");
  PARE_ERROR_TEXT(file_not_found, read_packed_folder(dir.path()));
}

TEST(PackedTexts, CodedTensorsGetATypeNoOtherLoaderKnows) {
  const io::Json json = io::parse_json(
      R"({"model_quant_type":"W8A8","metadata":{"who":"x"},"a.weight":"W8A8","a.deq_scale":"W8A8",)"
      R"("norm.weight":"FLOAT"})",
      "test");
  const io::Json out = io::parse_json(
      packed_description(json, {{"w.safetensors", "w.safetensors", {"a.weight", "norm.weight"}, 1}})
          .value(),
      "test");
  const io::Json expected = io::parse_json(
      R"({"model_quant_type":"W8A8","a.weight":"W8A8+PARE1","a.index":"PARE1","a.info":"PARE1",)"
      R"("a.deq_scale":"W8A8","norm.weight":"FLOAT+PARE1","norm.index":"PARE1",)"
      R"("norm.info":"PARE1","metadata":{"who":"x","codec":"pare","codec_version":1}})",
      "test");
  EXPECT_EQ(out, expected);
  EXPECT_FALSE(packed_description(io::Json::array(), {}));
  EXPECT_FALSE(packed_description(io::Json{{"a", 1}}, {}));
}

TEST(PackedTexts, KeysOfDictionariesAreDescribedByTheirFullNames) {
  const io::Json json = io::parse_json(
      R"({"model_quant_type":"W8A8","a.weight":"W8A8","a.weight_scale":"W8A8"})", "test");
  const std::string text =
      packed_description(json, {{"quant_weight.npy", "quant_weight.npy.safetensors", {"a"}, 1},
                                {"weight_scale.npy", "weight_scale.npy.safetensors", {"a"}, 1}})
          .value();
  const io::Json out = io::parse_json(text, "test");
  EXPECT_EQ(out["a.weight"], "W8A8+PARE1");
  EXPECT_EQ(out["a.weight_scale"], "W8A8+PARE1");
  EXPECT_EQ(out["a.index"], "PARE1");
}

TEST(PackedTexts, AnIndexNamesWhatIsStored) {
  const io::Json json = io::parse_json(
      R"({"metadata":{"total_size":9,"who":"x"},"weight_map":{"b.weight":"1.safetensors",)"
      R"("a.weight":"2.safetensors"}})",
      "test");
  const std::vector<PackedNames> files = {{"1.safetensors", "1.safetensors", {}, 100},
                                          {"2.safetensors", "2.safetensors", {"a.weight"}, 20}};
  const io::Json out = io::parse_json(packed_index(json, files).value(), "test");
  EXPECT_EQ(out, io::parse_json(R"({"metadata":{"total_size":120,"who":"x"},"weight_map":{)"
                                R"("a.index":"2.safetensors","a.info":"2.safetensors",)"
                                R"("a.weight":"2.safetensors","b.weight":"1.safetensors"}})",
                                "test"));
  EXPECT_FALSE(packed_index(json, {{"1.safetensors", "1.safetensors", {}, 100}}));
  EXPECT_FALSE(packed_index(io::Json::array(), files));
}

TEST(PseudoSparse, KeepsTheShareAskedForAndDependsOnSeedAndNameAlone) {
  const std::vector<std::byte> ones(100000, std::byte{1});
  const containers::TensorInfo matrix{"a.weight", DType::i8, Shape{100, 1000}};
  const auto masked = pseudo_sparse({0.3, 5}, matrix, ones);
  ASSERT_TRUE(masked);
  const auto kept = static_cast<double>(std::count(masked->begin(), masked->end(), std::byte{1}));
  // 0.3 ± 5 standard deviations of a mean of 100,000: sqrt(0.3 * 0.7 / 1e5) = 0.00145
  EXPECT_NEAR(kept / 100000, 0.3, 0.0073);
  EXPECT_EQ(pseudo_sparse({0.3, 5}, matrix, ones), masked);
  EXPECT_NE(pseudo_sparse({0.3, 6}, matrix, ones), masked);
  EXPECT_NE(pseudo_sparse({0.3, 5}, {"b.weight", DType::i8, Shape{100, 1000}}, ones), masked);
  EXPECT_EQ(*pseudo_sparse({1, 5}, matrix, ones), ones);
  EXPECT_EQ(*pseudo_sparse({0, 5}, matrix, ones), std::vector<std::byte>(100000));
  EXPECT_FALSE(pseudo_sparse({0.3, 5}, {"a.bias", DType::i8, Shape{100000}}, ones));
  EXPECT_FALSE(pseudo_sparse({0.3, 5}, {"a.weight", DType::u8, Shape{100, 1000}}, ones));
}

}  // namespace
}  // namespace pare::pipeline
