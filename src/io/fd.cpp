#include "io/fd.h"

#include "pare/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace pare::io {
namespace {

/// Linux writes at most about 2 GiB a call; smaller pieces also keep a cancelled run responsive.
constexpr std::size_t kMaxWriteBytes = std::size_t{1} << 30;

/// Asks for what was written to go to the disk at once: the work that follows hides the time, and
/// dirty pages do not pile up. Small pieces, of which neighbours follow, are left to the system.
void begin_write_back(const Fd& fd, std::size_t offset, std::size_t bytes) noexcept {
  constexpr std::size_t kWorthIt = std::size_t{1} << 20;
  if (bytes < kWorthIt) return;
  // Only advice: where it is not taken, nothing is lost.
  static_cast<void>(::sync_file_range(fd.get(), static_cast<off_t>(offset),
                                      static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE));
}

[[noreturn]] void fail_read(const std::filesystem::path& path, int error) {
  if (error == ENOENT || error == ENOTDIR) throw Error(ErrorCode::file_not_found, path.string());
  throw Error(ErrorCode::file_io, fmt::format("cannot read: {}", errno_text(error)))
      .at(path.string());
}

[[noreturn]] void fail_write(const std::filesystem::path& path, int error, std::size_t bytes) {
  Error failure(ErrorCode::output_not_writable, errno_text(error));
  failure.at(path.string());
  if (error != ENOSPC && error != EDQUOT && error != EFBIG) throw failure;
  throw std::move(failure).hint(
      fmt::format("the file needs {} bytes ({:.1f} MiB); free some space or choose another folder",
                  bytes, static_cast<double>(bytes) / (1024.0 * 1024.0)));
}

}  // namespace

Fd open_regular(const std::filesystem::path& path, std::size_t& size) {
  // O_NONBLOCK: opening a named pipe must not wait for its writer.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) fail_read(path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) fail_read(path, errno);
  if (!S_ISREG(info.st_mode)) {
    throw Error(ErrorCode::file_io,
                S_ISDIR(info.st_mode) ? "a folder, not a file" : "not a regular file")
        .at(path.string());
  }
  size = static_cast<std::size_t>(info.st_size);
  return fd;
}

Fd create_file(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) fail_write(path, errno, 0);
  return fd;
}

void write_at(const Fd& fd, const std::filesystem::path& path, std::span<const std::byte> bytes,
              std::size_t offset, std::size_t file_bytes) {
  while (!bytes.empty()) {
    const std::size_t piece = std::min(bytes.size(), kMaxWriteBytes);
    const ssize_t done = ::pwrite(fd.get(), bytes.data(), piece, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_write(path, errno, file_bytes);
    if (done == 0) fail_write(path, EIO, file_bytes);
    begin_write_back(fd, offset, static_cast<std::size_t>(done));
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += static_cast<std::size_t>(done);
  }
}

void cut_file(const Fd& fd, const std::filesystem::path& path, std::size_t size) {
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) fail_write(path, errno, size);
}

void finish_file(Fd& fd, const std::filesystem::path& path, unsigned mode) {
  if (::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) fail_write(path, errno, 0);
  if (!fd.close()) fail_write(path, errno, 0);
}

}  // namespace pare::io
