// Whole small files, and memory-mapped large ones.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace pare::io {

/// The bytes of a file of at most `max_bytes`.
/// Errors: file_not_found, file_io (also: too large), lfs_pointer.
std::string read_text(const std::filesystem::path& path,
                      std::size_t max_bytes = std::size_t{1} << 30);

/// Writes a file in one go with exactly the permissions `mode`; an older file of the name is
/// replaced. Errors: output_not_writable (with the bytes needed when the disk is full).
void write_text(const std::filesystem::path& path, std::string_view text, unsigned mode = 0644);

/// Read-only mapping of a regular file; the size is taken from the open handle. A file that another
/// program shortens afterwards ends the process with SIGBUS, as with every mapping.
/// Pages read stay in memory until `release`d; they count in the resident set.
class MappedFile {
 public:
  /// Git LFS pointers are no model's files; who copies whatever there is lets them pass.
  enum class Pointers { refuse, let_pass };

  /// Errors: file_not_found, file_io, lfs_pointer.
  explicit MappedFile(const std::filesystem::path& path, Pointers pointers = Pointers::refuse);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::filesystem::path& path() const noexcept { return path_; }

  /// Gives every page that touches [offset, offset + size) back to the system, with the few that a
  /// page fault maps around them. Reading them again maps them again: only memory, never content,
  /// changes, so neighbours in use by other threads are safe.
  void release(std::size_t offset, std::size_t size) const noexcept;
  /// Hints that the range will be read soon; returns at once.
  void prefetch(std::size_t offset, std::size_t size) const noexcept;
  /// Brings the range into memory before returning, in one call instead of a fault per 64 KiB.
  /// They count in the resident set from here on. Does nothing on kernels before 5.14.
  void populate(std::size_t offset, std::size_t size) const noexcept;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pare::io
