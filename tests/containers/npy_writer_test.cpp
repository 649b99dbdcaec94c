// The bytes of .npy files, derived by hand from the formats' descriptions.
#include "containers/npy/reader.h"
#include "containers/npy/writer.h"
#include "containers/safetensors_files.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

namespace pare::containers {
namespace {

using pare::test::get_file;
using pare::test::TempDir;
using test::info_of;

/// Literal with embedded NULs.
template <std::size_t N>
std::string raw(const char (&text)[N]) {
  return {text, N - 1};
}

/// The header numpy.save writes: 128 bytes in all, spaces, newline.
std::string header(const std::string& dict) {
  std::string text = raw("\x93NUMPY\x01\x00\x76\x00") + dict;
  text.append(127 - text.size(), ' ');
  return text + "\n";
}

const std::string kMinusOne = raw("J\xFF\xFF\xFF\xFF");

/// Up to the open dictionary, opcode by opcode.
std::string object_array_front() {
  return header("{'descr': '|O', 'fortran_order': False, 'shape': (), }") + raw("\x80\x03") +
         "cnumpy.core.multiarray\n_reconstruct\n" + raw("q\x00") + "cnumpy\nndarray\n" +
         raw("q\x01") + raw("K\x00\x85") +
         raw("C\x01"
             "b") +
         raw("\x87R(K\x01)") + "cnumpy\ndtype\n" + raw("q\x02") +
         raw("X\x02\x00\x00\x00O8\x89\x88\x87R") + raw("(K\x03X\x01\x00\x00\x00|NNN") + kMinusOne +
         kMinusOne + raw("K\x3Ftb\x89]}(");
}

TEST(WriteNpy, PlainArrayEqualsNumpySave) {
  const TempDir dir;
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  write_npy(dir / "a.npy", Tensor::from<float>(DType::f32, {2, 3}, values).view(), 0600);
  std::string expected = header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  expected.append(reinterpret_cast<const char*>(values.data()), 24);
  EXPECT_EQ(get_file(dir / "a.npy"), expected);
  struct stat info {};
  ASSERT_EQ(::stat((dir / "a.npy").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(WriteNpy, ShapesAndTypes) {
  const TempDir dir;
  write_npy(dir / "s.npy", Tensor(DType::f32, {}).view());
  EXPECT_EQ(
      get_file(dir / "s.npy"),
      header("{'descr': '<f4', 'fortran_order': False, 'shape': (), }") + std::string(4, '\0'));
  write_npy(dir / "b.npy", test::counting(info_of("", DType::i8, {3}), 1).view());
  EXPECT_EQ(get_file(dir / "b.npy"),
            header("{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }") + "\x01\x02\x03");
  const std::vector<std::uint16_t> one = {0x3F80};  // bf16 1.0
  write_npy(dir / "w.npy", Tensor::from<std::uint16_t>(DType::bf16, {1}, one).view());
  EXPECT_EQ(get_file(dir / "w.npy"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }") +
                raw("\x00\x00\x80\x3F"));
  PARE_ERROR_TEXT(tensor_mismatch, write_npy(dir / "f.npy", Tensor(DType::f8_e4m3, {1}).view()));
}

TEST(NpyDict, NumpyValuesByteForByte) {
  const TempDir dir;
  NpyDictWriter writer(dir / "d.npy", NpyValues::numpy, 0400);
  writer.add("a", test::counting(info_of("", DType::i8, {1, 2}), 5).view());
  writer.add("b", test::counting(info_of("", DType::i32, {}), 1).view());
  writer.finish();
  const std::string state = raw("NNN") + kMinusOne + kMinusOne + raw("K\x00tb\x89");
  const std::string expected =
      object_array_front() +
      // "a": _reconstruct(ndarray, (0,), b'b'), state (1, (1, 2), dtype('i1'), False, 2 bytes)
      raw("X\x01\x00\x00\x00"
          "ah\x00h\x01K\x00\x85"
          "C\x01"
          "b\x87R(K\x01K\x01K\x02\x86h\x02X\x02\x00\x00\x00i1\x89\x88\x87R") +
      raw("(K\x03X\x01\x00\x00\x00|") + state + raw("C\x02\x05\x06tb") +
      // "b": shape (), dtype('<i4'), 4 bytes
      raw("X\x01\x00\x00\x00"
          "bh\x00h\x01K\x00\x85"
          "C\x01"
          "b\x87R(K\x01)h\x02X\x02\x00\x00\x00i4\x89\x88\x87R") +
      raw("(K\x03X\x01\x00\x00\x00<") + state + raw("C\x04\x01\x02\x03\x04tb") + "uatb.";
  EXPECT_EQ(get_file(dir / "d.npy"), expected);
  struct stat info {};
  ASSERT_EQ(::stat((dir / "d.npy").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0400U);
}

/// torch's legacy stream of one storage "0".
std::string legacy_stream(const std::string& storage_class, const std::string& data, char count) {
  const std::string n = raw("\x00\x00\x00\x00\x00\x00\x00").insert(0, 1, count);
  return raw("\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.") +
         raw("\x80\x02M\xE9\x03.") +
         raw("\x80\x02}(X\x10\x00\x00\x00protocol_versionM\xE9\x03X\x0D\x00\x00\x00little_"
             "endian\x88") +
         raw("X\x0A\x00\x00\x00type_sizes}("
             "X\x05\x00\x00\x00shortK\x02X\x03\x00\x00\x00intK\x04X\x04\x00\x00\x00longK\x04uu.") +
         raw("\x80\x02(X\x07\x00\x00\x00storage") + "ctorch\n" + storage_class + "\n" +
         raw("X\x01\x00\x00\x00"
             "0X\x03\x00\x00\x00"
             "cpuK") +
         count + raw("NtQ.") +
         raw("\x80\x02]X\x01\x00\x00\x00"
             "0a.") +
         n + data;
}

TEST(NpyDict, TorchValuesByteForByte) {
  const TempDir dir;
  NpyDictWriter writer(dir / "t.npy", NpyValues::torch, 0400);
  writer.add("a", test::counting(info_of("", DType::i8, {1, 2}), 5).view());
  writer.add("b", test::counting(info_of("", DType::bf16, {2}), 1).view());
  writer.finish();
  const std::string first = legacy_stream("CharStorage", "\x05\x06", 2);
  const std::string second = legacy_stream("BFloat16Storage", "\x01\x02\x03\x04", 2);
  ASSERT_LT(first.size(), 256U);
  ASSERT_LT(second.size(), 256U);
  const std::string expected =
      object_array_front() +
      raw("X\x01\x00\x00\x00"
          "actorch._utils\n_rebuild_tensor_v2\nq\x03(ctorch.storage\n_load_from_bytes\nq\x04"
          "C") +
      static_cast<char>(first.size()) + first +
      raw("\x85RK\x00K\x01K\x02\x86K\x02K\x01\x86\x89"
          "ccollections\nOrderedDict\nq\x05)RtR") +
      raw("X\x01\x00\x00\x00"
          "bh\x03(h\x04"
          "C") +
      static_cast<char>(second.size()) + second + raw("\x85RK\x00K\x02\x85K\x01\x85\x89h\x05)RtR") +
      "uatb.";
  EXPECT_EQ(get_file(dir / "t.npy"), expected);
}

TEST(NpyDict, EmptyDictionary) {
  const TempDir dir;
  NpyDictWriter writer(dir / "e.npy", NpyValues::numpy, 0600);
  writer.finish();
  EXPECT_EQ(get_file(dir / "e.npy"), object_array_front() + "uatb.");
  EXPECT_TRUE(open_npy_dict(dir / "e.npy")->tensors().empty());
}

TEST(NpyDict, EveryTypeAndSizeComesBack) {
  const std::vector<std::vector<std::int64_t>> shapes = {
      {}, {0, 3}, {7}, {300, 2}, {1, 1, 70'000}, {2, 1, 2, 1, 2, 1, 2, 2}};
  for (const NpyValues values : {NpyValues::numpy, NpyValues::torch}) {
    const TempDir dir;
    NpyDictWriter writer(dir / "d.npy", values, 0600);
    std::vector<TensorInfo> infos;
    for (const DType dtype : {DType::boolean, DType::u8, DType::i8, DType::i16, DType::f16,
                              DType::bf16, DType::i32, DType::f32, DType::i64, DType::f64}) {
      for (const auto& shape : shapes)
        infos.push_back(info_of(std::to_string(infos.size()) + ".é", dtype, shape));
    }
    for (std::size_t k = 0; k < infos.size(); ++k)
      writer.add(infos[k].name, test::counting(infos[k], static_cast<unsigned>(k)).view());
    writer.finish();
    const auto source = open_npy_dict(dir / "d.npy");
    ASSERT_EQ(source->tensors().size(), infos.size());
    for (std::size_t k = 0; k < infos.size(); ++k) {
      const TensorView read = source->read(infos[k].name);
      EXPECT_EQ(read.shape, infos[k].shape);
      const Tensor written = test::counting(infos[k], static_cast<unsigned>(k));
      if (values == NpyValues::numpy && infos[k].dtype == DType::bf16) {
        EXPECT_EQ(read.dtype, DType::f32);
        const std::vector<float> wide = read_floats(written.view());
        EXPECT_EQ(test::bytes_of(read),
                  test::bytes_of(Tensor::from<float>(DType::f32, infos[k].shape, wide).view()));
        continue;
      }
      EXPECT_EQ(read.dtype, infos[k].dtype);
      EXPECT_EQ(test::bytes_of(read), test::bytes_of(written.view()));
    }
  }
}

TEST(NpyDict, RefusesMisuse) {
  const TempDir dir;
  NpyDictWriter writer(dir / "d.npy", NpyValues::torch, 0600);
  writer.add("a", Tensor(DType::u8, {1}).view());
  PARE_ERROR_TEXT(internal, writer.add("a", Tensor(DType::u8, {1}).view()));
  PARE_ERROR_TEXT(tensor_mismatch, writer.add("b", Tensor(DType::u32, {1}).view()));
  PARE_ERROR_TEXT(output_not_writable, NpyDictWriter(dir / "d.npy", NpyValues::torch, 0600));
  PARE_ERROR_TEXT(output_not_writable, NpyDictWriter(dir / "no/d.npy", NpyValues::torch, 0600));
}

}  // namespace
}  // namespace pare::containers
