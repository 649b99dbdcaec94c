// What the writer puts on disk, byte for byte, and what it refuses.
#include "containers/safetensors/writer.h"
#include "containers/safetensors_files.h"
#include "io/json.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

namespace pare::containers {
namespace {

using pare::test::TempDir;
using test::counting;
using test::info_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SafetensorsWriter, GoldenBytes) {
  const TempDir dir;
  const std::vector<TensorInfo> tensors = {info_of("a", DType::i32, {1, 1})};
  SafetensorsWriter writer({.folder = dir.path(), .base_name = "model"}, tensors);
  const std::int32_t word = 0x567FA980;
  writer.write("a", Tensor::from<std::int32_t>(DType::i32, {1, 1}, std::span(&word, 1)).view());
  EXPECT_THAT(writer.finish(), ElementsAre("model.safetensors"));
  const std::string expected =
      std::string("\x58\0\0\0\0\0\0\0", 8) +
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"I32","shape":[1,1],"data_offsets":[0,4]}} )"
      "\x80\xA9\x7F\x56";
  EXPECT_EQ(pare::test::get_file(dir / "model.safetensors"), expected);
  EXPECT_THAT(pare::test::names_in(dir.path()), ElementsAre("model.safetensors"));
}

TEST(SafetensorsWriter, WideElementsFirstThenNames) {
  const TempDir dir;
  test::write_counting({.folder = dir.path(), .base_name = "m"},
                       {info_of("z8", DType::i8, {3}), info_of("b16", DType::bf16, {1}),
                        info_of("a8", DType::u8, {}), info_of("y64", DType::i64, {1}),
                        info_of("a16", DType::f16, {2}), info_of("e", DType::f32, {0, 4})});
  const std::string file = pare::test::get_file(dir / "m.safetensors");
  const std::size_t length =
      static_cast<unsigned char>(file[0]) + 256U * static_cast<unsigned char>(file[1]);
  EXPECT_EQ(length % 8, 0U);
  const io::Json header = io::parse_json(file.substr(8, length), "header");
  std::vector<std::string> names;
  std::vector<int> begins;
  for (const auto& [name, entry] : header.items()) {
    names.push_back(name);
    if (name != "__metadata__") begins.push_back(entry["data_offsets"][0].get<int>());
  }
  EXPECT_THAT(names, ElementsAre("__metadata__", "y64", "e", "a16", "b16", "a8", "z8"));
  EXPECT_THAT(begins, ElementsAre(0, 8, 8, 12, 14, 15));
  EXPECT_EQ(file.size(), 8 + length + 18);
  EXPECT_EQ(file.substr(8 + length + 15), std::string("\x00\x01\x02", 3));  // z8 was declared first
}

TEST(SafetensorsWriter, NamesAreEscaped) {
  const TempDir dir;
  test::write_counting({.folder = dir.path(), .base_name = "m"},
                       {info_of("a\"b\\é", DType::u8, {1})});
  EXPECT_NE(open_checkpoint(dir / "m.safetensors")->find("a\"b\\é"), nullptr);
  PARE_ERROR_TEXT(internal, test::write_counting({.folder = dir.path(), .base_name = "n"},
                                                 {info_of("\xFF", DType::u8, {1})}));
}

TEST(SafetensorsWriter, ShardsBeginWhenTheLimitWouldBeReached) {
  const TempDir dir;
  // Limit 10: 4 + 4 fit (8 < 10); +4 would be 12; then 4 + 6 = 10 reaches the limit; 20 stands
  // alone.
  const std::vector<TensorInfo> tensors = {
      info_of("a", DType::u8, {4}), info_of("b", DType::u8, {4}),  info_of("c", DType::u8, {4}),
      info_of("d", DType::u8, {6}), info_of("e", DType::u8, {20}), info_of("f", DType::u8, {1})};
  const auto names = test::write_counting(
      {.folder = dir.path(), .base_name = "model", .max_shard_bytes = 10, .index_mode = 0600},
      tensors);
  EXPECT_THAT(names,
              ElementsAre("model-00001-of-00005.safetensors", "model-00002-of-00005.safetensors",
                          "model-00003-of-00005.safetensors", "model-00004-of-00005.safetensors",
                          "model-00005-of-00005.safetensors", "model.safetensors.index.json"));
  const io::Json index = io::read_json(dir / "model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"].get<int>(), 39);
  const io::Json expected = {{"a", names[0]}, {"b", names[0]}, {"c", names[1]},
                             {"d", names[2]}, {"e", names[3]}, {"f", names[4]}};
  EXPECT_EQ(index["weight_map"], expected);
  EXPECT_EQ(open_checkpoint(dir.path())->tensors().size(), 6U);
}

TEST(SafetensorsWriter, OneShardIsNumberedToo) {
  const TempDir dir;
  EXPECT_THAT(
      test::write_counting({.folder = dir.path(), .base_name = "q", .max_shard_bytes = 1000},
                           {info_of("a", DType::u8, {4})}),
      ElementsAre("q-00001-of-00001.safetensors", "q.safetensors.index.json"));
}

TEST(SafetensorsWriter, SetsModes) {
  const TempDir dir;
  test::write_counting({.folder = dir.path(),
                        .base_name = "q",
                        .max_shard_bytes = 1000,
                        .file_mode = 0400,
                        .index_mode = 0600},
                       {info_of("a", DType::u8, {4})});
  struct stat info {};
  ASSERT_EQ(::stat((dir / "q-00001-of-00001.safetensors").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0400U);
  ASSERT_EQ(::stat((dir / "q.safetensors.index.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(SafetensorsWriter, EmptySetOfTensorsIsAFile) {
  const TempDir dir;
  test::write_counting({.folder = dir.path(), .base_name = "m"}, {});
  EXPECT_TRUE(open_checkpoint(dir / "m.safetensors")->tensors().empty());
}

TEST(SafetensorsWriter, AnyOrderPiecesAndThreads) {
  const TempDir dir;
  std::vector<TensorInfo> tensors;
  for (int k = 0; k < 8; ++k)
    tensors.push_back(info_of(fmt::format("t{}", k), DType::u8, {10'000 + k}));
  SafetensorsWriter writer({.folder = dir.path(), .base_name = "m", .max_shard_bytes = 30'000},
                           tensors);
  std::vector<std::thread> threads;
  for (unsigned k = 0; k < 8; ++k) {
    threads.emplace_back([&, k] {
      const Tensor tensor = counting(tensors[k], k);
      const auto bytes = tensor.view().data;
      writer.write_bytes(tensors[k].name, 5000, bytes.subspan(5000));
      writer.write_bytes(tensors[k].name, 0, bytes.first(5000));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  writer.finish();
  const auto source = open_checkpoint(dir.path());
  for (unsigned k = 0; k < 8; ++k) {
    EXPECT_EQ(test::bytes_of(source->read(tensors[k].name)),
              test::bytes_of(counting(tensors[k], k).view()));
  }
}

TEST(SafetensorsWriter, RefusesMisuse) {
  const TempDir dir;
  const std::vector<TensorInfo> tensors = {info_of("a", DType::u8, {4}),
                                           info_of("b", DType::u8, {1})};
  SafetensorsWriter writer({.folder = dir.path(), .base_name = "m"}, tensors);
  const Tensor four(DType::u8, {4});
  PARE_ERROR_TEXT(internal, writer.write("c", four.view()));
  PARE_ERROR_TEXT(internal, writer.write("b", four.view()));
  PARE_ERROR_TEXT(internal, writer.write("a", Tensor(DType::i8, {4}).view()));
  PARE_ERROR_TEXT(internal, writer.write("a", Tensor(DType::u8, {2, 2}).view()));
  PARE_ERROR_TEXT(internal, writer.write_bytes("a", 1, four.view().data));
  PARE_ERROR_TEXT(internal, writer.write_bytes("a", 5, {}));
  writer.write("a", four.view());
  EXPECT_THAT(PARE_ERROR_TEXT(internal, writer.finish()), HasSubstr("\"b\": 0 of 1"));
  PARE_ERROR_TEXT(internal, SafetensorsWriter({.folder = dir.path(), .base_name = "n"},
                                              {tensors[0], tensors[0]}));
  PARE_ERROR_TEXT(internal, SafetensorsWriter({.folder = dir.path(), .base_name = "n"},
                                              {info_of("__metadata__", DType::u8, {1})}));
}

TEST(SafetensorsWriter, SaysWhenItCannotWrite) {
  const TempDir dir;
  PARE_ERROR_TEXT(output_not_writable,
                  SafetensorsWriter({.folder = dir / "none", .base_name = "m"}, {}));
  const TensorInfo huge = info_of("a", DType::u8, {std::int64_t{1} << 60});
  const std::string text = PARE_ERROR_TEXT(
      output_not_writable, SafetensorsWriter({.folder = dir.path(), .base_name = "m"}, {huge}));
  EXPECT_THAT(text, HasSubstr("1152921504606847"));
  EXPECT_TRUE(pare::test::names_in(dir.path()).empty());
}

TEST(SafetensorsWriter, FullDiskSaysHowMuchIsNeeded) {
  const TempDir dir;
  const std::vector<TensorInfo> tensors = {info_of("a", DType::u8, {100'000})};
  SafetensorsWriter writer({.folder = dir.path(), .base_name = "m"}, tensors);
  // A limit on file sizes fails a write as a full disk does, without needing a small disk.
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{50'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string text =
      PARE_ERROR_TEXT(output_not_writable, writer.write("a", Tensor(DType::u8, {100'000}).view()));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(text, HasSubstr("m.safetensors"));
  EXPECT_THAT(text, HasSubstr("the file needs 100104 bytes"));
}

}  // namespace
}  // namespace pare::containers
