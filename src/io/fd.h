// Owner of a POSIX file descriptor, and the text of errno.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace pare::io {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  ~Fd() { close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  /// False when the system reports a late write error.
  bool close() noexcept { return fd_ < 0 || ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_ = -1;
};

inline std::string errno_text(int error) { return std::generic_category().message(error); }

/// Opens a regular file for reading. Errors: file_not_found, file_io.
Fd open_regular(const std::filesystem::path& path, std::size_t& size);

/// Creates an empty file that only its owner can use. Errors: output_not_writable (also when it
/// exists).
Fd create_file(const std::filesystem::path& path);

/// Writes all of `bytes` at `offset`. Errors: output_not_writable; on a full disk the hint says how
/// many bytes the file needs (`file_bytes`).
void write_at(const Fd& fd, const std::filesystem::path& path, std::span<const std::byte> bytes,
              std::size_t offset, std::size_t file_bytes);

/// Cuts the file to `size` bytes. Errors: output_not_writable.
void cut_file(const Fd& fd, const std::filesystem::path& path, std::size_t size);

/// Sets the permissions, whatever the umask, and closes. Errors: output_not_writable.
void finish_file(Fd& fd, const std::filesystem::path& path, unsigned mode);

}  // namespace pare::io
