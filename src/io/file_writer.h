// A new file written from front to back through a small buffer.
#pragma once

#include "io/fd.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace pare::io {

/// Errors of every member: output_not_writable.
class FileWriter {
 public:
  /// Creates the file; one that exists already is an error.
  explicit FileWriter(const std::filesystem::path& path);

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Overwrites one byte that was written before.
  void patch(std::size_t offset, std::byte value);
  /// Writes what is buffered, sets the permissions and closes.
  void finish(unsigned mode);

 private:
  void flush();

  std::filesystem::path path_;
  Fd fd_;
  std::vector<std::byte> buffer_;
  std::size_t flushed_ = 0;  // bytes in the file
};

}  // namespace pare::io
