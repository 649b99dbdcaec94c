// Opening checkpoints: single files, shards with and without index, and everything that disagrees.
#include "containers/safetensors_files.h"
#include "containers/tensor_source.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;
using pare::test::put_file;
using pare::test::TempDir;
using test::info_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A one-tensor file under any name.
void put_shard(const fs::path& path, const std::string& tensor) {
  put_file(path,
           test::file_bytes(
               "{\"" + tensor + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"));
}

void put_index(const fs::path& path, const std::string& weight_map) {
  put_file(path, R"({"metadata":{"total_size":2},"weight_map":{)" + weight_map + "}}");
}

std::vector<std::string> names_of(const TensorSource& source) {
  std::vector<std::string> names;
  for (const TensorInfo& info : source.tensors())
    names.push_back(info.name);
  return names;
}

std::string index_error(const fs::path& path) {
  return PARE_ERROR_TEXT(bad_index, open_checkpoint(path));
}

const std::string kFirst = "model-00001-of-00002.safetensors";
const std::string kSecond = "model-00002-of-00002.safetensors";
const std::string kIndex = "model.safetensors.index.json";

TEST(Checkpoint, ReadsAFile) {
  const TempDir dir;
  const std::vector<TensorInfo> tensors = {info_of("b", DType::f32, {2, 3}),
                                           info_of("a", DType::bf16, {5}),
                                           info_of("c", DType::u8, {0})};
  test::write_counting({.folder = dir.path(), .base_name = "model"}, tensors);
  const auto source = open_checkpoint(dir / "model.safetensors");
  EXPECT_THAT(names_of(*source), ElementsAre("a", "b", "c"));
  ASSERT_NE(source->find("b"), nullptr);
  EXPECT_EQ(source->find("b")->shape, Shape({2, 3}));
  EXPECT_EQ(source->find("b")->nbytes(), 24U);
  EXPECT_EQ(source->find("bb"), nullptr);
  EXPECT_EQ(source->find(""), nullptr);
  EXPECT_EQ(source->read("a").dtype, DType::bf16);
  EXPECT_EQ(test::bytes_of(source->read("a")),
            test::bytes_of(test::counting(tensors[1], 1).view()));
  source->release("a");
  source->release("none");
  source->populate("a");
  EXPECT_EQ(test::bytes_of(source->read("a")),
            test::bytes_of(test::counting(tensors[1], 1).view()));
  EXPECT_TRUE(source->read("c").data.empty());
  EXPECT_EQ(source->file_of("a"), "model.safetensors");
  EXPECT_EQ(source->file_of("none"), "");
  EXPECT_THAT(source->files(), ElementsAre(dir / "model.safetensors"));
}

TEST(Checkpoint, MissingTensorSuggestsANearName) {
  const TempDir dir;
  put_shard(dir / "model.safetensors", "model.norm.weight");
  const auto source = open_checkpoint(dir.path());
  EXPECT_THAT(PARE_ERROR_TEXT(tensor_missing, source->read("model.norm.wieght")),
              HasSubstr("did you mean \"model.norm.weight\""));
}

TEST(Checkpoint, FolderWithOneFileOfAnyName) {
  const TempDir dir;
  put_shard(dir / "quant_model_weight_w8a8.safetensors", "a");
  put_file(dir / "config.json", "{}");
  EXPECT_THAT(names_of(*open_checkpoint(dir.path())), ElementsAre("a"));
  put_shard(dir / "renamed", "b");  // recognised by its first bytes
  EXPECT_THAT(names_of(*open_checkpoint(dir / "renamed")), ElementsAre("b"));
}

TEST(Checkpoint, ShardsWithIndex) {
  const TempDir dir;
  put_shard(dir / kFirst, "b");
  put_shard(dir / kSecond, "a");
  put_shard(dir / "consolidated.safetensors", "other");
  put_index(dir / kIndex,
            R"("a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors")");
  const auto source = open_checkpoint(dir.path());
  EXPECT_THAT(names_of(*source), ElementsAre("a", "b"));
  EXPECT_EQ(source->file_of("a"), kSecond);
  EXPECT_THAT(source->files(), ElementsAre(dir / kFirst, dir / kSecond));
}

TEST(Checkpoint, ShardsBehindLinks) {  // as in the Hugging Face cache
  const TempDir dir;
  fs::create_directories(dir / "blobs");
  fs::create_directories(dir / "snapshot");
  put_shard(dir / "blobs/1234", "a");
  fs::create_symlink("../blobs/1234", dir / "snapshot/model.safetensors");
  EXPECT_THAT(names_of(*open_checkpoint(dir / "snapshot")), ElementsAre("a"));
}

TEST(Checkpoint, AscendShardNames) {
  const TempDir dir;
  test::write_counting(
      {.folder = dir.path(), .base_name = "quant_model_weight_w8a8", .max_shard_bytes = 4},
      {info_of("a", DType::u8, {3}), info_of("b", DType::u8, {3})});
  EXPECT_THAT(names_of(*open_checkpoint(dir.path())), ElementsAre("a", "b"));
}

TEST(Checkpoint, IndexNamesAMissingShard) {
  const TempDir dir;
  put_shard(dir / kFirst, "a");
  put_index(dir / kIndex,
            R"("a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors")");
  const std::string text = index_error(dir.path());
  EXPECT_THAT(text, HasSubstr("missing shard: " + kSecond));
  EXPECT_THAT(text, HasSubstr(kIndex));
  EXPECT_THAT(text, HasSubstr("fetch"));
}

TEST(Checkpoint, IndexAndFilesDisagree) {
  const TempDir dir;
  put_shard(dir / kFirst, "a");
  put_shard(dir / kSecond, "b");
  put_index(dir / kIndex,
            R"("a":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors")");
  EXPECT_THAT(index_error(dir.path()), HasSubstr("\"c\" is not in " + kSecond));
  put_index(dir / kIndex,
            R"("a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors")");
  EXPECT_THAT(index_error(dir.path()), HasSubstr("\"a\" is not in " + kSecond));
  put_index(dir / kIndex, R"("a":"model-00001-of-00002.safetensors")");
  EXPECT_THAT(index_error(dir.path()), HasSubstr("leaves out " + kSecond));
  put_file(dir / kSecond,
           test::file_bytes(R"({"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                            R"("x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"));
  put_index(dir / kIndex,
            R"("a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors")");
  EXPECT_THAT(index_error(dir.path()),
              HasSubstr("\"x\" of " + kSecond + " is not in the weight_map"));
}

TEST(Checkpoint, StaleIndexBesideASingleFile) {
  const TempDir dir;
  put_shard(dir / "model.safetensors", "a");
  put_index(dir / kIndex,
            R"("a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors")");
  EXPECT_THAT(index_error(dir.path()), HasSubstr("stale: delete it"));
}

TEST(Checkpoint, OneTensorInTwoShards) {
  const TempDir dir;
  put_shard(dir / kFirst, "a");
  put_shard(dir / kSecond, "a");
  const std::string text = index_error(dir.path());
  EXPECT_THAT(text, HasSubstr("\"a\" is in two shards"));
  EXPECT_THAT(text, HasSubstr(kFirst));
  EXPECT_THAT(text, HasSubstr(kSecond));
}

TEST(Checkpoint, IndexMayNotLeaveTheFolder) {
  for (const char* name : {"../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..", "",
                           "a\\\\b.safetensors", "x.bin", "a\\n.safetensors"}) {
    const TempDir dir;
    put_index(dir / kIndex, fmt::format(R"("a":"{}")", name));
    EXPECT_THAT(index_error(dir.path()), HasSubstr("no plain")) << name;
  }
}

TEST(Checkpoint, DamagedIndex) {
  const TempDir dir;
  for (const char* text :
       {"[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})"}) {
    put_file(dir / kIndex, text);
    index_error(dir.path());
  }
  put_file(dir / kIndex, R"({"weight_map":{"a":"x.safetensors","a":"y.safetensors"}})");
  PARE_ERROR_TEXT(bad_json, open_checkpoint(dir.path()));
}

TEST(Checkpoint, ShardsWithoutIndex) {
  const TempDir dir;
  put_shard(dir / kFirst, "a");
  EXPECT_THAT(index_error(dir.path()), HasSubstr(kSecond));
  put_shard(dir / kSecond, "b");
  EXPECT_THAT(names_of(*open_checkpoint(dir.path())), ElementsAre("a", "b"));
  put_shard(dir / "adapter.safetensors", "c");
  EXPECT_THAT(names_of(*open_checkpoint(dir.path())), ElementsAre("a", "b"));
  put_shard(dir / "other-00001-of-00001.safetensors", "d");
  EXPECT_THAT(index_error(dir.path()), HasSubstr("several weight files"));
}

TEST(Checkpoint, SeveralFilesWithoutIndex) {
  const TempDir dir;
  put_shard(dir / "a.safetensors", "a");
  put_shard(dir / "b.safetensors", "b");
  EXPECT_THAT(index_error(dir.path()), HasSubstr("a.safetensors, b.safetensors"));
  put_shard(dir / "model.safetensors", "m");
  EXPECT_THAT(names_of(*open_checkpoint(dir.path())), ElementsAre("m"));
}

TEST(Checkpoint, SeveralIndexes) {
  const TempDir dir;
  put_shard(dir / "x.safetensors", "a");
  put_index(dir / "p.safetensors.index.json", R"("a":"x.safetensors")");
  put_index(dir / "q.safetensors.index.json", R"("a":"x.safetensors")");
  EXPECT_THAT(index_error(dir.path()), HasSubstr("several indexes"));
  put_index(dir / kIndex, R"("a":"x.safetensors")");
  EXPECT_THAT(names_of(*open_checkpoint(dir.path())), ElementsAre("a"));
}

TEST(Checkpoint, SaysWhatItFoundInstead) {
  const TempDir dir;
  PARE_ERROR_TEXT(file_not_found, open_checkpoint(dir / "none"));
  EXPECT_THAT(PARE_ERROR_TEXT(file_not_found, open_checkpoint(dir.path())),
              HasSubstr("no *.safetensors"));
  put_file(dir / "pytorch_model.bin", "PK\x03\x04");
  const std::string text = PARE_ERROR_TEXT(feature_not_supported, open_checkpoint(dir.path()));
  EXPECT_THAT(text, HasSubstr("pytorch_model.bin"));
  EXPECT_THAT(text, HasSubstr("safe_serialization=True"));
  PARE_ERROR_TEXT(feature_not_supported, open_checkpoint(dir / "pytorch_model.bin"));
  put_file(dir / "wrong.safetensors", "PK");
  EXPECT_THAT(PARE_ERROR_TEXT(bad_safetensors, open_checkpoint(dir / "wrong.safetensors")),
              HasSubstr("wrong.safetensors"));
}

TEST(Checkpoint, TruncatedShardIsFoundOnOpening) {
  const TempDir dir;
  test::write_counting({.folder = dir.path(), .base_name = "model", .max_shard_bytes = 4},
                       {info_of("a", DType::u8, {3}), info_of("b", DType::u8, {3})});
  fs::resize_file(dir / kSecond, fs::file_size(dir / kSecond) - 1);
  const std::string text = PARE_ERROR_TEXT(bad_safetensors, open_checkpoint(dir.path()));
  EXPECT_THAT(text, HasSubstr(kSecond));
  EXPECT_THAT(text, HasSubstr("cut off"));
}

TEST(Checkpoint, HundredThousandTensorsOpenFast) {
  const TempDir dir;
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i) {
    header += fmt::format(
        R"({}"model.layers.{}.mlp.experts.{}.weight":{{"dtype":"BF16","shape":[2,2],"data_offsets":[{},{}]}})",
        i == 0 ? "" : ",", i / 256, i % 256, i * 8, i * 8 + 8);
  }
  put_file(dir / "model.safetensors", test::file_bytes(header + "}", std::string(800'000, 'x')));
  const auto start = std::chrono::steady_clock::now();
  const auto source = open_checkpoint(dir.path());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(source->tensors().size(), 100'000U);
  EXPECT_NE(source->find("model.layers.7.mlp.experts.255.weight"), nullptr);
  EXPECT_LT(took.count(), 10.0);
  RecordProperty("seconds", std::to_string(took.count()));
}

}  // namespace
}  // namespace pare::containers
