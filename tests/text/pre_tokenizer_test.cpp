#include "text/json/pre_tokenizer.h"

#include "text/json/normalizer.h"
#include "text/json/split.h"
#include "text/support.h"

#include <gtest/gtest.h>

namespace pare::text {
namespace {

using testing::component;
using testing::contains;
using testing::error_of;
using Strings = std::vector<std::string>;

Strings words(std::string_view json, std::string_view text, bool at_start = true) {
  Strings out;
  for (const Word& word : component<PreTokenizer>(json).apply(std::string(text), at_start)) {
    out.push_back(word.text);
  }
  return out;
}

// "1a22b" cut at digits: matches 1, 2, 2.
Strings cut_digits(Delimiter delimiter, bool invert = false) {
  const std::string text = "1a22b";
  Strings out;
  for (const Span& span : split(text.size(), Regex("\\d").find_all(text), delimiter, invert)) {
    out.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return out;
}

TEST(Split, EveryTreatmentOfTheDelimiter) {
  EXPECT_EQ(cut_digits(Delimiter::isolated), (Strings{"1", "a", "2", "2", "b"}));
  EXPECT_EQ(cut_digits(Delimiter::removed), (Strings{"a", "b"}));
  EXPECT_EQ(cut_digits(Delimiter::contiguous), (Strings{"1", "a", "22", "b"}));
  EXPECT_EQ(cut_digits(Delimiter::merged_with_previous), (Strings{"1", "a2", "2", "b"}));
  EXPECT_EQ(cut_digits(Delimiter::merged_with_next), (Strings{"1a", "2", "2b"}));
  EXPECT_EQ(cut_digits(Delimiter::removed, true), (Strings{"1", "2", "2"}));
}

TEST(PreTokenizer, ByteLevel) {
  EXPECT_EQ(words(R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true})", "a b"),
            (Strings{"\u0120a", "\u0120b"}));
  EXPECT_EQ(words(R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":false})", " a b"),
            Strings{"\u0120a\u0120b"});
  EXPECT_EQ(words(R"({"type":"ByteLevel","add_prefix_space":false})", "a b"),
            (Strings{"a", "\u0120b"}));
}

TEST(PreTokenizer, MetaspaceSchemes) {
  const std::string head = R"({"type":"Metaspace","replacement":"▁","split":)";
  EXPECT_EQ(words(head + R"(false,"prepend_scheme":"always"})", "a b", false), Strings{"▁a▁b"});
  EXPECT_EQ(words(head + R"(false,"prepend_scheme":"first"})", "a b", true), Strings{"▁a▁b"});
  EXPECT_EQ(words(head + R"(false,"prepend_scheme":"first"})", "a b", false), Strings{"a▁b"});
  EXPECT_EQ(words(head + R"(false,"prepend_scheme":"never"})", "a b"), Strings{"a▁b"});
  EXPECT_EQ(words(head + R"(true})", "a  b"), (Strings{"▁a", "▁", "▁b"}));
  EXPECT_EQ(words(head + R"(false,"add_prefix_space":false})", "a"), Strings{"a"});
  EXPECT_EQ(words(head + R"(false})", " a"), Strings{"▁a"});
}

TEST(PreTokenizer, DigitsAndSequence) {
  EXPECT_EQ(words(R"({"type":"Digits","individual_digits":false})", "ab12½"),
            (Strings{"ab", "12½"}));
  EXPECT_EQ(words(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
                      {"type":"Split","pattern":{"String":"b"},"behavior":"Removed","invert":false}]})",
                  "abc12"),
            (Strings{"a", "c", "1", "2"}));
}

TEST(PreTokenizer, UnknownTypesAreNamed) {
  const Error error = error_of([] { component<PreTokenizer>(R"({"type":"UnicodeScripts"})"); });
  EXPECT_EQ(error.code(), ErrorCode::tokenizer_not_supported);
  EXPECT_TRUE(contains(error.what(), "UnicodeScripts")) << error.what();
  EXPECT_EQ(error_of([] { component<PreTokenizer>("{}"); }).code(), ErrorCode::bad_tokenizer);
  EXPECT_EQ(error_of([] { component<PreTokenizer>("[1]"); }).code(), ErrorCode::bad_tokenizer);
}

std::string normalized(std::string_view json, std::string_view text) {
  return component<Normalizer>(json).apply(std::string(text));
}

TEST(Normalizer, EveryType) {
  EXPECT_EQ(normalized(R"({"type":"NFC"})", "e\u0301"), "\u00e9");
  EXPECT_EQ(normalized(R"({"type":"NFD"})", "\u00e9"), "e\u0301");
  EXPECT_EQ(normalized(R"({"type":"NFKC"})", "\ufb01e\u0301"), "fi\u00e9");
  EXPECT_EQ(normalized(R"({"type":"NFKD"})", "\ufb01\u00e9"), "fie\u0301");
  EXPECT_EQ(normalized(R"({"type":"Lowercase"})", "AÉ"), "aé");
  EXPECT_EQ(normalized(R"({"type":"Prepend","prepend":"▁"})", "a"), "▁a");
  EXPECT_EQ(normalized(R"({"type":"Prepend","prepend":"▁"})", ""), "");
  EXPECT_EQ(normalized(R"({"type":"Strip","strip_left":true,"strip_right":false})", "\u3000 a "),
            "a ");
  EXPECT_EQ(normalized(R"({"type":"Strip","strip_left":true,"strip_right":true})", " \u3000"), "");
  EXPECT_EQ(normalized(R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
                           {"type":"Replace","pattern":{"String":" "},"content":"▁"},
                           {"type":"Replace","pattern":{"Regex":"b+"},"content":"."}]})",
                       "a bb"),
            "▁a▁.");
}

TEST(Normalizer, MarksNewerThanTheLibrarysTablesStayWhereTheyAre) {
  // U+08CF (Unicode 14, below) would otherwise be moved before U+0301 (above).
  EXPECT_EQ(normalized(R"({"type":"NFC"})", "x\u0301\u08cf"), "x\u0301\u08cf");
  EXPECT_EQ(normalized(R"({"type":"NFC"})", "x\u0301\u0327"), "x\u0327\u0301");
}

TEST(Normalizer, UnknownTypesAreNamed) {
  const Error error = error_of([] { component<Normalizer>(R"({"type":"Precompiled"})"); });
  EXPECT_EQ(error.code(), ErrorCode::tokenizer_not_supported);
  EXPECT_TRUE(contains(error.detail(), "Precompiled"));
}

}  // namespace
}  // namespace pare::text
