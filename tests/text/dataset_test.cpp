#include "text/datasets/dataset.h"

#include "io/hash.h"
#include "text/support.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::contains;
using testing::error_of;
using testing::TempFolder;
using Ids = std::vector<TokenId>;
using Sequences = std::vector<Ids>;

// One id per byte behind a BOS of 0: lengths and contents can be read off the text.
class ByteTokenizer final : public Tokenizer {
 public:
  Ids encode(std::string_view text) const override {
    Ids ids = encode_plain(text);
    ids.insert(ids.begin(), 0);
    return ids;
  }
  Ids encode_plain(std::string_view text) const override {
    Ids ids;
    for (const char c : text)
      ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    for (const TokenId id : ids) {
      if (id != 0) text += static_cast<char>(id);
    }
    return text;
  }
  std::string piece(TokenId) const override { return "?"; }
  std::int64_t vocab_size() const noexcept override { return 256; }
  TokenId bos_id() const noexcept override { return 0; }
  TokenId eos_id() const noexcept override { return -1; }
  bool adds_bos() const noexcept override { return true; }
};

class DatasetTest : public ::testing::Test {
 protected:
  Dataset load(std::string_view name, std::string_view content, DatasetOptions options = {}) {
    options.file = folder_.write(name, content);
    return load_dataset(options, open_, 256);
  }

  std::vector<std::string> texts(const Dataset& data) const {
    std::vector<std::string> out;
    for (const Ids& ids : data.sequences)
      out.push_back(tokenizer_.decode(ids));
    return out;
  }

  Error error(std::string_view name, std::string_view content, const DatasetOptions& options = {}) {
    return error_of([&] { load(name, content, options); });
  }

  TempFolder folder_;
  ByteTokenizer tokenizer_;
  const OpenTokenizer open_ = [this] { return &tokenizer_; };
  const OpenTokenizer none_ = [] { return nullptr; };
};

using Strings = std::vector<std::string>;

TEST_F(DatasetTest, JsonLinesWithDefaultFields) {
  const Dataset data = load(
      "a.jsonl",
      "\xEF\xBB\xBF{\"text\":\"one\",\"inputs_pretokenized\":\"two\"}\r\n\n{\"text\":\"three\"}\n"
      R"({"passage":"P","question":"Q","title":"T"})"
      "\n"
      R"({"passage":"P","question":"Q"})"
      "\n"
      R"("plain")"
      "\n{\"text\":\"  \"}\n");
  EXPECT_EQ(texts(data), (Strings{"two", "three", "T -- P\nQuestion:Q?\nAnswer:",
                                  "P\nQuestion:Q?\nAnswer:", "plain"}));
  EXPECT_EQ(data.lines_read, 7);
  EXPECT_EQ(data.lines_skipped, 2);
  ASSERT_EQ(data.skip_reasons.size(), 2U);
  EXPECT_TRUE(contains(data.skip_reasons[0], "1 line: blank (first at ")) << data.skip_reasons[0];
  EXPECT_TRUE(contains(data.skip_reasons[1], "1 line: empty text (first at "));
  EXPECT_TRUE(contains(data.skip_reasons[1], "a.jsonl:7)")) << data.skip_reasons[1];
  EXPECT_TRUE(data.has_bos);
  EXPECT_EQ(data.first_tokens_text, "two");
}

TEST_F(DatasetTest, LinesThatAreNoJsonAreSkippedAndCounted) {
  const Dataset data =
      load("a.jsonl", "{\"text\":\"a\"}\n{oops\n{\"text\":\"b\\q\"}\n{\"text\":\"c\"}\n");
  EXPECT_EQ(texts(data), (Strings{"a", "c"}));
  EXPECT_EQ(data.lines_skipped, 2);
  ASSERT_EQ(data.skip_reasons.size(), 1U);
  EXPECT_TRUE(contains(data.skip_reasons[0], "2 lines: not valid JSON")) << data.skip_reasons[0];
  EXPECT_TRUE(contains(data.skip_reasons[0], "a.jsonl:2")) << data.skip_reasons[0];
}

TEST_F(DatasetTest, Statistics) {
  const Dataset data = load("a.txt", "ab\nabcd\na\n");
  EXPECT_EQ(data.tokens(), 3 + 5 + 2);
  EXPECT_EQ(data.min_tokens(), 2);
  EXPECT_EQ(data.median_tokens(), 3);
  EXPECT_EQ(data.max_tokens(), 5);
}

TEST_F(DatasetTest, TokenIdsNeedNoTokenizer) {
  DatasetOptions options;
  options.file = folder_.write(
      "ids.jsonl", "{\"input_ids\":[1,258]}\n{\"input_ids\":[]}\n{\"input_ids\":[7]}\n");
  const OpenTokenizer broken = []() -> const Tokenizer* {
    throw Error(ErrorCode::tokenizer_not_supported, "WordPiece");
  };
  EXPECT_EQ(load_dataset(options, broken, 0).sequences, (Sequences{{1, 258}, {7}}));
  const Dataset data = load_dataset(options, none_, 0);
  EXPECT_EQ(data.sequences, (Sequences{{1, 258}, {7}}));
  EXPECT_FALSE(data.has_bos);
  ASSERT_EQ(data.skip_reasons.size(), 1U);
  EXPECT_TRUE(contains(data.skip_reasons[0], "1 line: no tokens")) << data.skip_reasons[0];
  // 1, 258, -1, 7, -1 as little-endian i32
  const std::string bytes("\1\0\0\0\2\1\0\0\xff\xff\xff\xff\7\0\0\0\xff\xff\xff\xff", 20);
  EXPECT_EQ(data.ids_sha256, io::sha256_hex(std::string_view(bytes)));
}

TEST_F(DatasetTest, BadTokenIds) {
  EXPECT_EQ(error("i.jsonl", "{\"input_ids\":[1,256]}\n").code(), ErrorCode::token_out_of_range);
  EXPECT_EQ(error("i.jsonl", "{\"input_ids\":[-1]}\n").code(), ErrorCode::token_out_of_range);
  EXPECT_EQ(error("i.jsonl", "{\"input_ids\":[18446744073709551615]}\n").code(),
            ErrorCode::token_out_of_range);
  EXPECT_EQ(error("i.jsonl", "{\"input_ids\":[1.5]}\n").code(), ErrorCode::bad_dataset);
  EXPECT_EQ(error("i.jsonl", "{\"input_ids\":\"1\"}\n").code(), ErrorCode::bad_dataset);
  EXPECT_TRUE(contains(error("i.jsonl", "{\"input_ids\":[1]}\n{\"input_ids\":[999]}\n").what(),
                       "i.jsonl:2"));
}

TEST_F(DatasetTest, TemplateCountAndCut) {
  DatasetOptions options;
  options.tmpl = "{a}!";
  options.count = 2;
  options.max_tokens = 3;
  const Dataset data =
      load("a.jsonl", "{\"a\":\"x\"}\n{\"a\":\"abcde\"}\n{\"a\":\"never\"}\n", options);
  EXPECT_EQ(data.sequences, (Sequences{{0, 'x', '!'}, {0, 'a', 'b'}, {'c', 'd', 'e'}, {'!'}}));
  EXPECT_EQ(data.lines_read, 2);
}

TEST_F(DatasetTest, PackKeepsEveryToken) {
  DatasetOptions options;
  options.pack = 4;
  const Dataset data = load("a.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"cdefg\"}\n", options);
  EXPECT_EQ(data.sequences, (Sequences{{0, 'a', 'b', 0}, {'c', 'd', 'e', 'f'}, {'g'}}));
  const Dataset text = load("a.txt", "ab\n\ncd\n", options);  // one text, one BOS
  EXPECT_EQ(text.sequences, (Sequences{{0, 'a', 'b', '\n'}, {'\n', 'c', 'd', '\n'}}));
  EXPECT_EQ(text.lines_read, 1);
}

TEST_F(DatasetTest, TextJsonArrayAndCsv) {
  EXPECT_EQ(texts(load("a.txt", "one\r\n\n two\n")), (Strings{"one", " two"}));
  EXPECT_EQ(texts(load("a.json", R"(["one",{"text":"two"}])")), (Strings{"one", "two"}));
  EXPECT_EQ(texts(load("a.CSV", "id,text\r\n1,\"a, \"\"b\"\"\nc\"\r\n\r\n2,d\r\n")),
            (Strings{"a, \"b\"\nc", "d"}));
}

TEST_F(DatasetTest, ErrorsSayWhere) {
  const auto says = [](const Error& e, ErrorCode code, std::string_view part) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_TRUE(contains(e.what(), part)) << e.what();
  };
  says(error("a.jsonl", "{oops\n"), ErrorCode::calibration_empty, "not valid JSON (first at ");
  says(error("a.json", "[{oops]"), ErrorCode::bad_dataset, "a.json");
  says(error("a.jsonl", "{\"other\":1,\"more\":2}\n"), ErrorCode::template_field_missing,
       "other, more");
  says(error("a.jsonl", "[1]\n"), ErrorCode::bad_dataset, "a.jsonl:1");
  says(error("a.jsonl", "{\"text\":{}}\n"), ErrorCode::bad_dataset, "text");
  says(error("a.json", "3"), ErrorCode::bad_dataset, "expected an array");
  says(error("a.json", "{\"data\":[{\"text\":\"a\"}]}"), ErrorCode::bad_dataset, "jq '.data'");
  says(error("a.csv", "text,b\n1,2\n1,2,3\n"), ErrorCode::bad_dataset, "a.csv:3");
  says(error("a.csv", "text,text\n1,2\n"), ErrorCode::bad_dataset, "two columns");
  says(error("a.parquet", "PAR1"), ErrorCode::bad_dataset, ".csv");
  says(error("a.txt", "\n \n"), ErrorCode::calibration_empty, "2 lines: blank");
  says(error("a.jsonl", ""), ErrorCode::calibration_empty, "0 lines");
  DatasetOptions options;
  options.tmpl = "{passage}";
  says(error("a.jsonl", "{\"text\":\"a\"}\n", options), ErrorCode::template_field_missing,
       "passage");
  options.file = folder_.path() / "absent.jsonl";
  EXPECT_EQ(error_of([&] { load_dataset(options, open_, 0); }).code(), ErrorCode::file_not_found);
  options.file = folder_.write("t.txt", "text\n");
  options.tmpl = "";
  EXPECT_EQ(error_of([&] { load_dataset(options, none_, 0); }).code(),
            ErrorCode::tokenizer_missing);
  EXPECT_EQ(error_of([&] { load_dataset(options, open_, 100); }).code(),
            ErrorCode::token_out_of_range);
  options.pack = 0;
  EXPECT_EQ(error_of([&] { load_dataset(options, open_, 0); }).code(), ErrorCode::bad_option_value);
}

TEST_F(DatasetTest, OnlyTheFirst64TokensAreShown) {
  const Dataset data = load("a.txt", std::string(500, 'x'));
  EXPECT_EQ(data.first_tokens_text, std::string(63, 'x'));  // BOS is the 64th
}

}  // namespace
}  // namespace pare::text
