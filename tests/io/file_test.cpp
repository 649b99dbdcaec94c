// Whole files and mappings: contents, permissions, refusals, and pages given back.
#include "io/file.h"

#include "io/lfs_pointer.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <string>
#include <utility>

namespace pare::io {
namespace {

using ::testing::HasSubstr;

unsigned mode_of(const std::filesystem::path& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 0777U;
}

std::size_t resident_pages(const MappedFile& file) {
  // mincore would tell about the page cache; what this process maps stands in smaps.
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool ours = false;
  while (std::getline(maps, line)) {
    if (line.find(file.path().filename().string()) != std::string::npos) ours = true;
    if (ours && line.starts_with("Rss:")) return std::stoul(line.substr(4)) / 4;
  }
  return 0;
}

TEST(Text, RoundTripsWithExactMode) {
  const test::TempDir dir;
  const mode_t before = ::umask(0077);
  write_text(dir / "a", std::string_view("x\0y", 3), 0640);
  ::umask(before);
  EXPECT_EQ(read_text(dir / "a"), std::string("x\0y", 3));
  EXPECT_EQ(mode_of(dir / "a"), 0640U);
  write_text(dir / "a", "", 0400);
  EXPECT_EQ(read_text(dir / "a"), "");
  EXPECT_EQ(mode_of(dir / "a"), 0400U);
}

TEST(Text, RefusesWhatItCannotRead) {
  const test::TempDir dir;
  test::put_file(dir / "five", "12345");
  EXPECT_EQ(read_text(dir / "five", 5), "12345");
  EXPECT_THAT(PARE_ERROR_TEXT(file_io, read_text(dir / "five", 4)),
              HasSubstr("5 bytes, at most 4"));
  PARE_ERROR_TEXT(file_not_found, read_text(dir / "none"));
  PARE_ERROR_TEXT(file_not_found, read_text(dir / "five/below"));
  EXPECT_THAT(PARE_ERROR_TEXT(file_io, read_text(dir.path())), HasSubstr("a folder"));
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(PARE_ERROR_TEXT(file_io, read_text(dir / "pipe")), HasSubstr("not a regular file"));
}

TEST(Text, RefusesWhereItCannotWrite) {
  const test::TempDir dir;
  PARE_ERROR_TEXT(output_not_writable, write_text(dir / "no/such", "x"));
  std::filesystem::create_directory(dir / "full");
  test::put_file(dir / "full/file", "");
  PARE_ERROR_TEXT(output_not_writable, write_text(dir / "full", "x"));
}

TEST(MappedFile, GivesTheBytes) {
  const test::TempDir dir;
  test::put_file(dir / "a", "hello");
  MappedFile first(dir / "a");
  const MappedFile file(std::move(first));
  ASSERT_EQ(file.bytes().size(), 5U);
  EXPECT_EQ(std::memcmp(file.bytes().data(), "hello", 5), 0);
  EXPECT_EQ(first.bytes().size(), 0U);
}

TEST(MappedFile, TakesAnEmptyFileAndRefusesOthers) {
  const test::TempDir dir;
  test::put_file(dir / "a", "");
  const MappedFile file(dir / "a");
  EXPECT_TRUE(file.bytes().empty());
  file.release(0, 100);
  file.populate(0, 100);
  PARE_ERROR_TEXT(file_not_found, MappedFile(dir / "none"));
  PARE_ERROR_TEXT(file_io, MappedFile(dir.path()));
}

TEST(MappedFile, ReleaseGivesPagesBackAndKeepsContent) {
  const test::TempDir dir;
  constexpr std::size_t kBytes = std::size_t{4} << 20;
  std::string content(kBytes, '\0');
  for (std::size_t i = 0; i < kBytes; ++i)
    content[i] = static_cast<char>(i * 31 / 7);
  test::put_file(dir / "big.bytes", content);
  const MappedFile file(dir / "big.bytes");
  EXPECT_EQ(std::memcmp(file.bytes().data(), content.data(), kBytes), 0);
  EXPECT_GE(resident_pages(file), kBytes / 4096);
  file.release(0, kBytes / 2);
  EXPECT_LE(resident_pages(file), kBytes / 4096 / 2);
  file.release(100, kBytes);  // beyond the end
  EXPECT_EQ(resident_pages(file), 0U);
  file.release(kBytes, 1);
  file.populate(kBytes - 10, 1000);
  file.prefetch(5, kBytes);
  EXPECT_EQ(std::memcmp(file.bytes().data(), content.data(), kBytes), 0);
}

TEST(LfsPointer, IsRefusedWhereverItIsRead) {
  const test::TempDir dir;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
  test::put_file(dir / "weights", pointer);
  EXPECT_THAT(PARE_ERROR_TEXT(lfs_pointer, read_text(dir / "weights")), HasSubstr("git lfs pull"));
  EXPECT_THAT(PARE_ERROR_TEXT(lfs_pointer, MappedFile(dir / "weights")), HasSubstr("weights is a"));
  EXPECT_EQ(MappedFile(dir / "weights", MappedFile::Pointers::let_pass).bytes().size(),
            pointer.size());
  EXPECT_TRUE(is_lfs_pointer_file(dir / "weights"));
}

TEST(LfsPointer, OthersAreNot) {
  const test::TempDir dir;
  const std::string begin = "version https://git-lfs.github.com/spec/v1\n";
  EXPECT_TRUE(is_lfs_pointer(begin + std::string(1000 - begin.size(), 'x')));
  EXPECT_FALSE(is_lfs_pointer(begin + std::string(2000, 'x')));
  EXPECT_FALSE(is_lfs_pointer(" " + begin));
  EXPECT_FALSE(is_lfs_pointer("version https://git"));
  EXPECT_FALSE(is_lfs_pointer_file(dir.path()));
  EXPECT_FALSE(is_lfs_pointer_file(dir / "none"));
}

/// New kernels map a whole run of cached pages at the first touch: whoever reads a tensor brings its
/// neighbours in again, which were given back before.
TEST(MappedFile, NothingStaysOfTensorsReadOneAfterTheOther) {
  const test::TempDir dir;
  constexpr std::size_t kBytes = std::size_t{16} << 20;
  test::put_file(dir / "big.bytes", std::string(kBytes, 'x'));
  const MappedFile file(dir / "big.bytes");
  constexpr std::size_t kTensor = 300'000;
  for (std::size_t begin = 0; begin < kBytes; begin += kTensor) {
    const auto tensor = file.bytes().subspan(begin, std::min(kTensor, kBytes - begin));
    EXPECT_EQ(tensor.front(), tensor.back());
    EXPECT_LE(resident_pages(file), (std::size_t{8} << 20) / 4096);
    file.release(begin, tensor.size());
  }
  EXPECT_EQ(resident_pages(file), 0U);
}

}  // namespace
}  // namespace pare::io
