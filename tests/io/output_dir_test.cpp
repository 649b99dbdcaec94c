// The output folder: whole or not at all, and never at the cost of someone's files.
#include "io/output_dir.h"

#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace pare::io {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Context kContext(1);

TEST(OutputDir, AppearsWhole) {
  const test::TempDir dir;
  {
    OutputDir out(kContext, dir / "out", false);
    test::put_file(out.path() / "a", "1");
    const fs::path work = out.path().parent_path();
    EXPECT_EQ(work.parent_path(), dir.path());
    EXPECT_THAT(work.filename().string(), ::testing::StartsWith(".out.pare-tmp-"));
    EXPECT_FALSE(fs::exists(dir / "out"));
    out.commit();
  }
  EXPECT_THAT(test::names_in(dir.path()), ElementsAre("out"));
  EXPECT_EQ(test::get_file(dir / "out/a"), "1");
}

TEST(OutputDir, ModeIs0750WhateverTheUmask) {
  const test::TempDir dir;
  const mode_t before = ::umask(0077);
  const OutputDir out(kContext, dir / "out", false);
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat(out.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0750U);
}

TEST(OutputDir, LeavesNothingWithoutCommit) {
  const test::TempDir dir;
  try {
    OutputDir out(kContext, dir / "out", false);
    fs::create_directory(out.path() / "sub");
    test::put_file(out.path() / "sub/a", "1");
    ::chmod((out.path() / "sub/a").c_str(), 0400);
    throw Error(ErrorCode::interrupted, "stop");
  } catch (const Error&) {
  }
  EXPECT_THAT(test::names_in(dir.path()), IsEmpty());
}

TEST(OutputDir, RefusesAnExistingFolder) {
  const test::TempDir dir;
  fs::create_directory(dir / "out");
  EXPECT_THAT(PARE_ERROR_TEXT(output_exists, OutputDir(kContext, dir / "out", false)),
              HasSubstr("--force"));
  EXPECT_THAT(test::names_in(dir.path()), ElementsAre("out"));
}

TEST(OutputDir, ReplacesItsOwnOutput) {
  for (const char* marker :
       {"report.json", "quant_model_description_w8a8.json", "quant_model_description.json"}) {
    const test::TempDir dir;
    fs::create_directory(dir / "out");
    test::put_file(dir / "out/old", "1");
    test::put_file(dir / "out" / marker, "{}");
    OutputDir out(kContext, dir / "out/", true);
    test::put_file(out.path() / "new", "2");
    EXPECT_TRUE(fs::exists(dir / "out/old"));
    out.commit();
    EXPECT_THAT(test::names_in(dir / "out"), ElementsAre("new"));
    EXPECT_THAT(test::names_in(dir.path()), ElementsAre("out"));
  }
}

TEST(OutputDir, ReplacesAnEmptyFolder) {
  const test::TempDir dir;
  fs::create_directory(dir / "out");
  OutputDir out(kContext, dir / "out", true);
  out.commit();
  EXPECT_THAT(test::names_in(dir.path()), ElementsAre("out"));
}

TEST(OutputDir, NeverDeletesWhatItDidNotWrite) {
  const test::TempDir dir;
  fs::create_directory(dir / "photos");
  test::put_file(dir / "photos/a.jpg", "1");
  EXPECT_THAT(PARE_ERROR_TEXT(output_exists, OutputDir(kContext, dir / "photos", true)),
              HasSubstr("did not write"));
  test::put_file(dir / "file", "1");
  PARE_ERROR_TEXT(output_exists, OutputDir(kContext, dir / "file", true));
  fs::create_directory(dir / "empty");
  fs::create_directory_symlink(dir / "empty", dir / "link");
  PARE_ERROR_TEXT(output_exists, OutputDir(kContext, dir / "link", true));
  PARE_ERROR_TEXT(output_exists, OutputDir(kContext, "/", true));
  PARE_ERROR_TEXT(output_exists, OutputDir(kContext, ".", true));
  EXPECT_THAT(test::names_in(dir.path()), ElementsAre("empty", "file", "link", "photos"));
}

TEST(OutputDir, NeverReplacesTheHomeFolder) {
  const test::TempDir dir;
  test::put_file(dir / "report.json", "{}");
  const char* home = std::getenv("HOME");
  const std::string before = home == nullptr ? "" : home;
  ::setenv("HOME", dir.path().c_str(), 1);
  EXPECT_THAT(PARE_ERROR_TEXT(output_exists, OutputDir(kContext, dir.path(), true)),
              HasSubstr("home"));
  ::setenv("HOME", before.c_str(), 1);
}

TEST(OutputDir, NamesTheMissingParent) {
  const test::TempDir dir;
  EXPECT_THAT(PARE_ERROR_TEXT(output_not_writable, OutputDir(kContext, dir / "no/out", false)),
              HasSubstr("mkdir -p"));
  PARE_ERROR_TEXT(output_not_writable, OutputDir(kContext, "", false));
  test::put_file(dir / "file", "1");
  PARE_ERROR_TEXT(output_not_writable, OutputDir(kContext, dir / "file/out", false));
}

TEST(OutputDir, NamesTheReadOnlyParent) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write into read-only folders";
  const test::TempDir dir;
  fs::create_directory(dir / "ro");
  ::chmod((dir / "ro").c_str(), 0500);
  EXPECT_THAT(PARE_ERROR_TEXT(output_not_writable, OutputDir(kContext, dir / "ro/out", false)),
              HasSubstr("writable"));
  ::chmod((dir / "ro").c_str(), 0700);
}

TEST(OutputDir, DoesNotOverwriteWhatAppearedMeanwhile) {
  const test::TempDir dir;
  {
    OutputDir out(kContext, dir / "out", false);
    fs::create_directory(dir / "out");
    PARE_ERROR_TEXT(output_exists, out.commit());
  }
  EXPECT_THAT(test::names_in(dir.path()), ElementsAre("out"));
}

}  // namespace
}  // namespace pare::io
