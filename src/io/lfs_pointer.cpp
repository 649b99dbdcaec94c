#include "io/lfs_pointer.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <array>
#include <fstream>

namespace pare::io {
namespace {

/// Pointers are smaller; files of this size may begin like one by chance.
constexpr std::size_t kLimitBytes = 1024;

/// The present one, and those of the years before it had its name.
constexpr std::array<std::string_view, 3> kBegins = {"version https://git-lfs.github.com/spec/",
                                                     "version https://hawser.github.com/spec/",
                                                     "version http://git-media.io/v/"};

}  // namespace

bool is_lfs_pointer(std::string_view content) noexcept {
  if (content.size() >= kLimitBytes) return false;
  for (const std::string_view begin : kBegins) {
    if (content.starts_with(begin)) return true;
  }
  return false;
}

bool is_lfs_pointer_file(const std::filesystem::path& path) noexcept {
  std::error_code unreadable;
  if (!std::filesystem::is_regular_file(path, unreadable)) return false;
  try {
    std::array<char, kLimitBytes> content{};
    std::ifstream stream(path, std::ios::binary);
    stream.read(content.data(), content.size());
    return is_lfs_pointer({content.data(), static_cast<std::size_t>(stream.gcount())});
  } catch (...) {
    return false;
  }
}

std::string lfs_pointer_warning(std::string_view name) {
  return fmt::format(
      "{} is a Git LFS pointer, not the file itself, and is copied as such: fetch it with "
      "`git lfs pull` and put it into the output",
      name);
}

void refuse_lfs_pointer(std::string_view content, const std::filesystem::path& path) {
  if (!is_lfs_pointer(content)) return;
  throw Error(ErrorCode::lfs_pointer,
              path.filename().string() + " is a Git LFS pointer, not the file itself")
      .at(path.string())
      .hint("fetch the files that the repository keeps in Git LFS: git lfs pull");
}

}  // namespace pare::io
