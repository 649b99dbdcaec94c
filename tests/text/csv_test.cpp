#include "text/datasets/csv.h"

#include "text/support.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::contains;
using testing::error_of;
using Rows = std::vector<std::vector<std::string>>;

Rows rows(std::string_view text) {
  CsvReader reader(text, "t.csv");
  Rows all;
  while (auto row = reader.next())
    all.push_back(*row);
  return all;
}

TEST(Csv, PlainFieldsAndEveryLineEnd) {
  EXPECT_EQ(rows("a,b\nc,d\r\ne,f\rg,h"), (Rows{{"a", "b"}, {"c", "d"}, {"e", "f"}, {"g", "h"}}));
  EXPECT_EQ(rows(""), Rows{});
  EXPECT_EQ(rows("a,\n,b"), (Rows{{"a", ""}, {"", "b"}}));
  EXPECT_EQ(rows("a,"), (Rows{{"a", ""}}));
  EXPECT_EQ(rows("\na\n"), (Rows{{""}, {"a"}}));
}

TEST(Csv, QuotedFields) {
  EXPECT_EQ(rows("\"a,b\",\"c\"\"d\"\n\"e\r\nf\",\"\"\n"), (Rows{{"a,b", "c\"d"}, {"e\r\nf", ""}}));
  EXPECT_EQ(rows("a\"b,c"), (Rows{{"a\"b", "c"}}));  // a quote inside an unquoted field is text
}

TEST(Csv, LinesAreCountedThroughQuotedFields) {
  CsvReader reader("h\n\"a\n\nb\"\nc\n", "t.csv");
  reader.next();
  reader.next();
  EXPECT_EQ(reader.line(), 2);
  reader.next();
  EXPECT_EQ(reader.line(), 5);
}

TEST(Csv, DamageIsPlaced) {
  const Error open = error_of([] { rows("a\n\"b\nc"); });
  EXPECT_EQ(open.code(), ErrorCode::bad_dataset);
  EXPECT_TRUE(contains(open.what(), "t.csv:2")) << open.what();
  EXPECT_EQ(error_of([] { rows("\"a\"b"); }).code(), ErrorCode::bad_dataset);
}

}  // namespace
}  // namespace pare::text
