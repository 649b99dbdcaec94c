// Dictionaries in .npy files: what numpy and torch really write, and what must never be obeyed.
#include "containers/npy/reader.h"
#include "containers/npy/writer.h"
#include "containers/safetensors_files.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace pare::containers {
namespace {

using pare::test::get_file;
using pare::test::put_file;
using pare::test::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <std::size_t N>
std::string raw(const char (&text)[N]) {
  return {text, N - 1};
}

std::filesystem::path golden(const char* name) {
  return std::filesystem::path(PARE_SOURCE_DIR) / "tests/containers/golden" / name;
}

template <typename T>
std::vector<T> values(const TensorView& view) {
  std::vector<T> out(view.data.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), view.data.data(), view.data.size());
  return out;
}

class GoldenArrays : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenArrays, ReadAsNumpyMeantThem) {
  const auto source = open_npy_dict(golden(GetParam()));
  ASSERT_EQ(source->tensors().size(), 7U);
  EXPECT_EQ(source->read("i8").shape, Shape({2, 3}));
  EXPECT_THAT(values<std::int8_t>(source->read("i8")), ElementsAre(-3, -2, -1, 0, 1, 2));
  EXPECT_EQ(source->read("fortran").shape, Shape({2, 3}));
  EXPECT_THAT(values<float>(source->read("fortran")), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(values<std::int64_t>(source->read("i64")), ElementsAre(5, std::int64_t{1} << 33));
  EXPECT_THAT(values<std::int8_t>(source->read("same_type")), ElementsAre(7));
  EXPECT_EQ(source->read("zero_d").shape.rank(), 0U);
  EXPECT_THAT(values<float>(source->read("zero_d")), ElementsAre(1.5F));
  EXPECT_EQ(source->read("scalar").dtype, DType::f16);
  EXPECT_THAT(values<std::uint16_t>(source->read("scalar")), ElementsAre(0x3800));
  EXPECT_EQ(source->read("empty").shape, Shape({0, 4}));
}

INSTANTIATE_TEST_SUITE_P(Numpy, GoldenArrays, ::testing::Values("numpy1.npy", "numpy2.npy"),
                         [](const auto& file) { return std::string(file.param).substr(0, 6); });

TEST(NpyDictReader, GoldenTensors) {
  const auto source = open_npy_dict(golden("torch.npy"));
  ASSERT_EQ(source->tensors().size(), 7U);
  EXPECT_THAT(values<std::int8_t>(source->read("i8")), ElementsAre(-3, -2, -1, 0, 1, 2));
  EXPECT_EQ(source->read("bf16").dtype, DType::bf16);
  EXPECT_THAT(values<std::uint16_t>(source->read("bf16")), ElementsAre(0x3F80, 0xC000));
  EXPECT_EQ(source->read("transposed").shape, Shape({3, 2}));
  EXPECT_THAT(values<float>(source->read("transposed")), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(values<float>(source->read("view")), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(values<float>(source->read("parameter")), ElementsAre(1, 1, 1));
  EXPECT_EQ(source->read("zero_d").dtype, DType::i64);
  EXPECT_THAT(values<std::int64_t>(source->read("zero_d")), ElementsAre(7));
  EXPECT_EQ(source->read("empty").shape, Shape({0, 4}));
}

TEST(NpyDictReader, SourceInterface) {
  const auto source = open_npy_dict(golden("torch.npy"));
  EXPECT_EQ(source->find("none"), nullptr);
  EXPECT_EQ(source->file_of("i8"), "torch.npy");
  EXPECT_THAT(source->files(), ElementsAre(golden("torch.npy")));
  for (const TensorInfo& info : source->tensors())
    source->release(info.name);
  EXPECT_THAT(values<std::int8_t>(source->read("i8")), ElementsAre(-3, -2, -1, 0, 1, 2));
  EXPECT_THAT(PARE_ERROR_TEXT(tensor_missing, source->read("i88")),
              HasSubstr("did you mean \"i8\""));
}

/// A file around any pickle.
std::string with_header(const std::string& pickle) {
  return get_file(golden("numpy1.npy")).substr(0, 128) + pickle;
}

std::string refusal(const std::string& file) {
  const TempDir dir;
  put_file(dir / "x.npy", file);
  return PARE_ERROR_TEXT(bad_npy, open_npy_dict(dir / "x.npy"));
}

TEST(NpyDictReader, NeverCallsAnything) {
  EXPECT_THAT(refusal(with_header(raw("\x80\x03"
                                      "cos\nsystem\n(X\x02\x00\x00\x00idtR."))),
              HasSubstr("\"os.system\" is not allowed"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x04\x8C\x08"
                                      "builtins\x8C\x04"
                                      "eval\x93."))),
              HasSubstr("\"builtins.eval\" is not allowed"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03"
                                      "cnumpy\nload\n."))),
              HasSubstr("\"numpy.load\" is not allowed"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03"
                                      "ccollections\nOrderedDict\nq\x00)R)R."))),
              HasSubstr("no known name"));
  for (const char* opcode : {"i", "o", "\x81", "\x92", "\x82", "P", "\x97", "\x98", "2",
                             "0"}) {  // INST, OBJ, NEWOBJ, EXT, …
    EXPECT_THAT(refusal(with_header(raw("\x80\x03(") + opcode + "os\nsystem\n.")),
                HasSubstr("is not used"))
        << opcode;
  }
}

TEST(NpyDictReader, RefusesOtherFiles) {
  EXPECT_THAT(refusal(""), HasSubstr("not an npy file"));
  EXPECT_THAT(refusal("PK\x03\x04"), HasSubstr("not an npy file"));
  EXPECT_THAT(refusal(raw("\x93NUMPY\x01\x00")), HasSubstr("cut off"));
  EXPECT_THAT(refusal(raw("\x93NUMPY\x01\x00\xFF\xFF{'descr'")), HasSubstr("cut off"));
  EXPECT_THAT(refusal(raw("\x93NUMPY\x09\x00\x02\x00\x00\x00{}")), HasSubstr("npy version 9"));
  const TempDir dir;
  write_npy(dir / "plain.npy", Tensor(DType::f32, {2}).view());
  EXPECT_THAT(PARE_ERROR_TEXT(bad_npy, open_npy_dict(dir / "plain.npy")),
              HasSubstr("not a saved dictionary"));
  PARE_ERROR_TEXT(file_not_found, open_npy_dict(dir / "none.npy"));
}

TEST(NpyDictReader, RefusesOddStreams) {
  const std::string good = get_file(golden("numpy1.npy"));
  EXPECT_THAT(refusal(good + "x"), HasSubstr("bytes behind the end"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03N."))), HasSubstr("not an object array"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x06N."))), HasSubstr("protocol above 5"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03NN."))), HasSubstr("left over"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03."))), HasSubstr("stack is empty"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03(."))), HasSubstr("stack is empty"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03h\x05."))), HasSubstr("memo 5 is empty"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03q\x05."))), HasSubstr("nothing to remember"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03u."))), HasSubstr("no MARK"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03}(Nu."))), HasSubstr("key without value"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03NNa."))), HasSubstr("wrong kind"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03"
                                      "B\xFF\xFF\xFF\xFF."))),
              HasSubstr("ends early"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03\x8E\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF."))),
              HasSubstr("ends early"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03X\xFF\xFF\xFF\x7F."))), HasSubstr("a text of"));
  EXPECT_THAT(refusal(with_header(std::string(40, 'N') + raw("C\x10."))), HasSubstr("ends early"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03Q."))), HasSubstr("stack is empty"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03NQ."))), HasSubstr("persistent id outside"));
  EXPECT_THAT(refusal(with_header(std::string(5'000'001, 'N') + ".")), HasSubstr("opcodes"));
  EXPECT_THAT(refusal(with_header(raw("\x80\x03"
                                      "c") +
                                  std::string(1000, 'm'))),
              HasSubstr("without end"));
}

/// The golden file with one place changed; `from` must occur.
std::string changed(const char* name, const std::string& from, const std::string& to) {
  std::string file = get_file(golden(name));
  const std::size_t at = file.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? file : file.replace(at, from.size(), to);
}

TEST(NpyDictReader, ChecksArrays) {
  // The shape (2, 3) of "i8": K2 K3 TUPLE2.
  EXPECT_THAT(refusal(changed("numpy1.npy", raw("K\x02K\x03\x86"), raw("K\x02K\x04\x86"))),
              HasSubstr("6 bytes for an array [2, 4]"));
  EXPECT_THAT(
      refusal(changed("numpy1.npy", raw("X\x02\x00\x00\x00i1"), raw("X\x02\x00\x00\x00O8"))),
      HasSubstr("object array"));
  EXPECT_THAT(
      refusal(changed("numpy1.npy", raw("X\x02\x00\x00\x00i1"), raw("X\x02\x00\x00\x00V1"))),
      HasSubstr("\"V1\""));
  EXPECT_THAT(refusal(changed("numpy1.npy", raw("X\x01\x00\x00\x00<"), raw("X\x01\x00\x00\x00>"))),
              HasSubstr("big-endian"));
  EXPECT_THAT(refusal(changed("numpy1.npy",
                              raw("X\x05\x00\x00\x00"
                                  "empty"),
                              raw("X\x02\x00\x00\x00i8"))),
              HasSubstr("\"i8\" twice"));
}

TEST(NpyDictReader, ChecksTensors) {
  const std::string shape_and_stride = raw("K\x02K\x03\x86");  // (2, 3); its strides (3, 1) follow
  EXPECT_THAT(refusal(changed("torch.npy", shape_and_stride, raw("K\x02K\x04\x86"))),
              HasSubstr("outside its storage"));
  EXPECT_THAT(refusal(changed("torch.npy", "CharStorage", "EvilStorage")),
              HasSubstr("\"torch.EvilStorage\" is not allowed"));
  EXPECT_THAT(refusal(changed("torch.npy", "CharStorage", "ByteStorages")), HasSubstr(""));
  EXPECT_THAT(refusal(changed("torch.npy", raw("\x6C\xFC\x9C"), raw("\x6C\xFC\x9D"))),
              HasSubstr("legacy stream"));
  EXPECT_THAT(refusal(changed("torch.npy", raw("M\xE9\x03."), raw("M\xE8\x03."))),
              HasSubstr("protocol 1001"));
}

/// A file with one int8 tensor of shape (1, 2), its shape and strides (2, 1) replaced.
std::string with_layout(const std::string& shape_and_strides) {
  const TempDir dir;
  NpyDictWriter writer(dir / "t.npy", NpyValues::torch, 0600);
  writer.add("a", Tensor(DType::i8, {1, 2}).view());
  writer.finish();
  std::string file = get_file(dir / "t.npy");
  const std::string from = raw("K\x00K\x01K\x02\x86K\x02K\x01\x86");
  const std::size_t at = file.find(from);
  EXPECT_NE(at, std::string::npos);
  return file.replace(at, from.size(), shape_and_strides);
}

TEST(NpyDictReader, ViewsStayInsideTheirStorage) {
  // Offset, shape, strides. One element seen as [200, 200] through strides of 0 would be 40,000.
  EXPECT_THAT(refusal(with_layout(raw("K\x00K\xC8K\xC8\x86K\x00K\x00\x86"))),
              HasSubstr("outside its storage"));
  EXPECT_THAT(refusal(with_layout(raw("K\x00K\x01K\x02\x86K\x02K\x02\x86"))),
              HasSubstr("outside its storage"));
  EXPECT_THAT(refusal(with_layout(raw("K\x01K\x01K\x02\x86K\x02K\x01\x86"))),
              HasSubstr("outside its storage"));
  EXPECT_THAT(refusal(with_layout(raw("K\x00K\x01K\x02\x86K\x01\x85"))), HasSubstr("strides"));
  EXPECT_THAT(refusal(with_layout(raw("J\xFF\xFF\xFF\xFFK\x01K\x02\x86K\x02K\x01\x86"))),
              HasSubstr("a tensor"));
  EXPECT_THAT(refusal(with_layout(
                  raw("K\x00K\x02K\x01\x86\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7FK\x01\x86"))),
              HasSubstr("outside its storage"));
  const TempDir dir;
  // An axis of one is never stepped, so its stride may be anything.
  put_file(
      dir / "x.npy",
      with_layout(raw("K\x00K\x01K\x02\x86\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7FK\x01\x86")));
  EXPECT_EQ(open_npy_dict(dir / "x.npy")->read("a").shape, Shape({1, 2}));
}

TEST(NpyDictReader, SurvivesEveryTruncationAndFlip) {
  for (const char* name : {"numpy1.npy", "numpy2.npy", "torch.npy"}) {
    const std::string valid = get_file(golden(name));
    const TempDir dir;
    const auto path = dir / "x.npy";
    put_file(path, valid);
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto try_open = [&] {
      try {
        const auto source = open_npy_dict(path);
        for (const TensorInfo& info : source->tensors())
          test::bytes_of(source->read(info.name));
        return true;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("x.npy"));
        return false;
      }
    };
    EXPECT_TRUE(try_open());
    for (std::size_t at = 0; at < valid.size(); ++at) {
      for (const int flip : {0x01, 0x04, 0x80, 0xFF}) {
        stream.seekp(static_cast<std::streamoff>(at))
            .put(static_cast<char>(valid[at] ^ flip))
            .flush();
        try_open();
      }
      stream.seekp(static_cast<std::streamoff>(at)).put(valid[at]).flush();
    }
    for (std::size_t size = valid.size(); size-- > 0;) {
      std::filesystem::resize_file(path, size);
      EXPECT_FALSE(try_open()) << size;
    }
  }
}

}  // namespace
}  // namespace pare::containers
