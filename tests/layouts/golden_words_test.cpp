// One known linear in every layout: the words that the engines' own packers make of it are what the
// layout writes, and they are what the importer understands.
#include "containers/safetensors/writer.h"
#include "layouts/layout.h"
#include "layouts/scale_rounding.h"
#include "pare/error.h"
#include "support/hf_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

namespace pare::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

/// A tensor as it must lie in the file: bytes written as hexadecimal digits, words of `width`
/// bytes.
struct GoldenTensor {
  std::string name;
  DType dtype;
  Shape shape;
  std::string words;
};

enum class Zeros { golden, symmetric };

struct GoldenCase {
  std::string format;
  std::int64_t group_size;
  Zeros zeros;
  std::vector<GoldenTensor> tensors;
};

void PrintTo(const GoldenCase& c, std::ostream* out) {
  *out << c.format << ", groups of " << c.group_size;
}

std::string hex_words(const TensorView& view) {
  const std::size_t width = size_of(view.dtype);
  std::vector<std::string> words;
  for (std::size_t first = 0; first < view.data.size(); first += width) {
    std::string word;
    for (std::size_t i = width; i-- > 0;) {
      word += fmt::format("{:02X}", std::to_integer<unsigned>(view.data[first + i]));
    }
    words.push_back(word);
  }
  return fmt::format("{}", fmt::join(words, " "));
}

Tensor tensor_of(const GoldenTensor& golden) {
  Tensor tensor(golden.dtype, golden.shape);
  const std::size_t width = size_of(golden.dtype);
  const std::span<std::byte> bytes = tensor.bytes();
  std::istringstream text(golden.words);
  std::string word;
  for (std::size_t first = 0; text >> word; first += width) {
    for (std::size_t i = 0; i < width; ++i) {
      const std::string digits = word.substr(2 * (width - 1 - i), 2);
      bytes[first + i] = static_cast<std::byte>(std::stoul(digits, nullptr, 16));
    }
  }
  return tensor;
}

/// Codes u = (3 o + 5 i) mod 16; see tests/support/hf_folder.h. Both groups of 4 have the numbers
/// that the single group of 8 has.
quant::QuantizedLinear linear_of(const GoldenCase& c) {
  quant::QuantizedLinear q = test::golden_linear();
  if (c.zeros == Zeros::symmetric) {
    q.scheme.symmetric = true;
    q.zeros.assign(8, 0.0F);
  }
  if (c.group_size == 4) {
    quant::QuantizedLinear twice = test::golden_linear(4);
    twice.scales.clear();
    twice.zeros.clear();
    for (std::size_t row = 0; row < 8; ++row) {
      twice.scales.insert(twice.scales.end(), 2, q.scales[row]);
      twice.zeros.insert(twice.zeros.end(), 2, q.zeros[row]);
    }
    return twice;
  }
  return q;
}

const std::string kAlongInputs =
    "3E94FA50 61C72D83 94FA50B6 C72D83E9 FA50B61C 2D83E94F 50B61C72 83E94FA5";
const std::string kScales = "3800 3400 3000 3C00 4000 2C00 3800 2800";
const std::string kCodes =
    "F8 FD 02 07 FC 01 06 FB FB 00 05 FA FF 04 F9 FE FE 03 F8 FD 02 07 FC 01 01 06 FB 00 05 FA FF "
    "04 04 F9 FE 03 F8 FD 02 07 07 FC 01 06 FB 00 05 FA FA FF 04 F9 FE 03 F8 FD FD 02 07 FC 01 06 "
    "FB 00";

std::vector<GoldenCase> cases() {
  const GoldenTensor gptq_codes{"a.qweight", DType::i32, {1, 8}, kAlongInputs};
  const GoldenTensor turned_scales{"a.scales", DType::f16, {1, 8}, kScales};
  const GoldenTensor scales{"a.weight_scale", DType::f16, {8, 1}, kScales};
  const GoldenTensor g_idx{"a.g_idx",
                           DType::i32,
                           {8},
                           "00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
                           "00000000"};
  const GoldenTensor awq_codes{
      "a.qweight",
      DType::i32,
      {8, 1},
      "5F932C60 A4E871B5 F93DC60A 4E821B5F 93D760A4 E82CB5F9 3D710A4E 82C65F93"};
  const GoldenTensor ct_codes{"a.weight_packed", DType::i32, {8, 1}, kAlongInputs};
  const auto word = [](const std::string& name, const std::string& text) {
    return GoldenTensor{name, DType::i32, {1, 1}, text};
  };
  return {
      {"autoawq", 8, Zeros::golden, {awq_codes, word("a.qzeros", "CF673198"), turned_scales}},
      {"autoawq", 8, Zeros::symmetric, {awq_codes, word("a.qzeros", "88888888"), turned_scales}},
      {"gptq", 8, Zeros::golden, {gptq_codes, word("a.qzeros", "B2E05867"), turned_scales, g_idx}},
      {"gptq", 8, Zeros::symmetric, {gptq_codes, word("a.qzeros", "77777777"), turned_scales}},
      {"gptq-v2",
       8,
       Zeros::golden,
       {gptq_codes, word("a.qzeros", "C3F16978"), turned_scales, g_idx}},
      {"gptq-v2", 8, Zeros::symmetric, {gptq_codes, word("a.qzeros", "88888888"), turned_scales}},
      {"compressed-tensors",
       8,
       Zeros::golden,
       {ct_codes, word("a.weight_zero_point", "C3F16978"), scales}},
      {"compressed-tensors", 8, Zeros::symmetric, {ct_codes, scales}},
      {"ascend",
       8,
       Zeros::golden,
       {{"a.weight", DType::i8, {8, 8}, kCodes},
        {"a.weight_offset", DType::f16, {8, 1}, "0000 BC00 3C00 C000 C700 4700 C500 4400"},
        scales}},
      {"ascend-v1",
       8,
       Zeros::golden,
       {{"a.weight",
         DType::i8,
         {8, 4},
         "D8 72 1C B6 0B A5 4F E9 3E D8 72 1C 61 0B A5 4F 94 3E D8 72 C7 61 0B A5 FA 94 3E D8 2D "
         "C7 "
         "61 0B"}}},
      {"ascend-v1",
       4,
       Zeros::golden,
       {{"a.weight",
         DType::i8,
         {4, 8},
         "B8 0D 52 A7 FC 41 96 EB 1E 63 B8 0D 52 A7 FC 41 74 C9 1E 63 B8 0D 52 A7 DA 2F 74 C9 1E "
         "63 "
         "B8 0D"}}},
  };
}

test::MadeUpModel model_of(const GoldenCase& c) {
  test::MadeUpModel model = test::one_linear(linear_of(c));
  model.plan.scheme_tag = "W4A16";
  model.plan.group_size = c.group_size;
  return model;
}

class GoldenWords : public testing::TestWithParam<GoldenCase> {};

TEST_P(GoldenWords, AreWritten) {
  const GoldenCase& c = GetParam();
  const Layout& layout = find_layout(c.format);
  const test::TemporaryFolder folder;
  test::write_model(layout, model_of(c), folder.path(), test::defaults_of(layout));
  const auto stored = layout.open(folder.path())->stored();
  for (const GoldenTensor& golden : c.tensors) {
    ASSERT_NE(stored->find(golden.name), nullptr) << golden.name;
    const TensorView found = stored->read(golden.name);
    EXPECT_EQ(found.dtype, golden.dtype) << golden.name;
    EXPECT_EQ(found.shape, golden.shape) << golden.name << " " << found.shape.text();
    EXPECT_EQ(hex_words(found), golden.words) << golden.name;
  }
}

/// The words replace what was written, so that writer and reader cannot be wrong together.
TEST_P(GoldenWords, AreRead) {
  const GoldenCase& c = GetParam();
  const Layout& layout = find_layout(c.format);
  const test::TemporaryFolder folder;
  test::write_model(layout, model_of(c), folder.path(), test::defaults_of(layout));
  test::replace_tensors(folder.path(), [&](std::map<std::string, Tensor>& tensors) {
    for (const GoldenTensor& golden : c.tensors)
      tensors[golden.name] = tensor_of(golden);
  });
  const auto stored = layout.open(folder.path())->linear("a");
  ASSERT_TRUE(stored.has_value());
  const quant::QuantizedLinear& q = stored->linear;
  const quant::QuantizedLinear meant = linear_of(c);
  EXPECT_EQ(q.codes, meant.codes);
  EXPECT_EQ(q.scales, meant.scales);
  EXPECT_EQ(q.zeros, meant.zeros);
  EXPECT_EQ(q.scheme.symmetric, meant.scheme.symmetric);
  std::vector<float> row(8);
  quant::dequantize_columns(q, 0, 0, 8, row.data());
  EXPECT_THAT(row, ElementsAre(-4, -1.5, 1, 3.5, -2, .5, 3, -2.5));
  if (c.zeros == Zeros::symmetric) return;
  quant::dequantize_columns(q, 5, 0, 8, row.data());
  EXPECT_THAT(row, ElementsAre(0, -.6875, -.375, -.0625, -.75, -.4375, -.125, -.8125));
}

std::string name_of_case(const testing::TestParamInfo<GoldenCase>& info) {
  std::string name = info.param.format;
  std::replace(name.begin(), name.end(), '-', '_');
  const bool symmetric = info.param.zeros == Zeros::symmetric;
  return fmt::format("{}_{}_{}", name, info.param.group_size, symmetric ? "symmetric" : "zeros");
}

INSTANTIATE_TEST_SUITE_P(Layouts, GoldenWords, testing::ValuesIn(cases()), name_of_case);

/// Every layout that takes the linear gives it back; also layouts whose words are not listed above.
TEST(GoldenLinear, ComesBackFromEveryLayout) {
  const GoldenCase groups{"", 4, Zeros::golden, {}};
  const test::MadeUpModel model = model_of(groups);
  for (const Layout* layout : layouts()) {
    if (layout->plain_floats || !layout->check(model.plan).empty()) continue;
    const test::TemporaryFolder folder;
    test::write_model(*layout, model, folder.path(), test::defaults_of(*layout));
    const auto found = layout->open(folder.path())->linear("a");
    test::expect_same_linear(model.linears.at("a"), found->linear, false);
  }
}

/// Four codes to a word, eight inputs and four outputs; u = 1, 2, 3, … in each row.
TEST(GoldenWordsOfEightBits, NaturalOrder) {
  quant::QuantizedLinear q;
  q.name = "a";
  q.scheme = {.weight_bits = 8};
  q.out = 4;
  q.in = 8;
  q.scale_dtype = DType::f16;
  q.scales.assign(4, .5F);
  q.zeros.assign(4, 0.0F);
  for (int o = 0; o < 4; ++o) {
    for (int i = 0; i < 8; ++i)
      q.codes.push_back(static_cast<std::int8_t>(i + 1 + 16 * o - 128));
  }
  const std::vector<std::uint32_t> first = {0x04030201U, 0x14131211U, 0x24232221U, 0x34333231U};
  const std::vector<std::uint32_t> second = {0x08070605U, 0x18171615U, 0x28272625U, 0x38373635U};
  for (const auto& [format, zeros] : {std::pair{"gptq", 0x7F7F7F7FU}, {"gptq-v2", 0x80808080U}}) {
    test::HfFolder files = test::HfFolder::of(format, test::one_linear(q));
    std::vector<std::uint32_t> down = first;
    down.insert(down.end(), second.begin(), second.end());
    EXPECT_THAT(test::words_of(files.tensors.at("a.qweight").view()), ElementsAreArray(down));
    EXPECT_THAT(test::words_of(files.tensors.at("a.qzeros").view()), ElementsAre(zeros));
    files.tensors["a.qweight"] = test::words({2, 4}, down);
    files.tensors["a.qzeros"] = test::words({1, 1}, {zeros});
    EXPECT_EQ(files.read("a").codes, q.codes) << format;
    EXPECT_EQ(files.read("a").zeros, q.zeros) << format;
  }
  std::vector<std::uint32_t> along;
  for (std::size_t o = 0; o < 4; ++o)
    along.insert(along.end(), {first[o], second[o]});
  test::HfFolder files = test::HfFolder::of("compressed-tensors", test::one_linear(q));
  EXPECT_THAT(test::words_of(files.tensors.at("a.weight_packed").view()), ElementsAreArray(along));
  files.tensors["a.weight_packed"] = test::words({4, 2}, along);
  EXPECT_EQ(files.read("a").codes, q.codes);
}

/// Linears whose zeros happen to be 0 among others that have some: eights, not nothing.
TEST(GoldenWordsOfEqualZeros, CompressedTensors) {
  quant::QuantizedLinear q = test::golden_linear();
  q.zeros.assign(8, 0.0F);
  const test::HfFolder files = test::HfFolder::of("compressed-tensors", test::one_linear(q));
  EXPECT_THAT(test::words_of(files.tensors.at("a.weight_zero_point").view()),
              ElementsAre(0x88888888U));
}

/// 0.5 and 0.25 are exact; 0.1 is stored as 0.0999755859375.
TEST(GoldenScales, HalfPrecision) {
  quant::QuantizedLinear q = test::golden_linear();
  q.scale_dtype = DType::f32;
  q.scales[2] = 0.1F;
  round_scales(q, DType::f16);
  for (const std::string format : {"autoawq", "gptq", "gptq-v2", "compressed-tensors"}) {
    const test::HfFolder files = test::HfFolder::of(format, test::one_linear(q));
    const std::string name = format == "compressed-tensors" ? "a.weight_scale" : "a.scales";
    EXPECT_EQ(hex_words(files.tensors.at(name).view()).substr(0, 14), "3800 3400 2E66") << format;
    EXPECT_EQ(files.read("a").scales[2], 0.0999755859375F);
  }
}

}  // namespace
}  // namespace pare::layout
