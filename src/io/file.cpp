#include "io/file.h"

#include "io/fd.h"
#include "io/lfs_pointer.h"
#include "pare/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace pare::io {
namespace {

/// A fault maps what lies around the address it was for, on new kernels as far as the run of pages
/// that the page cache keeps together, up to a huge page. So that is what has to be returned:
/// otherwise the last reader of a run leaves in memory what earlier ones have given back.
constexpr std::size_t kFaultAroundBytes = std::size_t{2} << 20;

std::size_t page_size() noexcept {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

struct PageRange {
  void* begin = nullptr;
  std::size_t size = 0;
};

/// [offset, offset + size) cut to the file and widened to multiples of `granule`.
PageRange widened(std::span<const std::byte> file, std::size_t offset, std::size_t size,
                  std::size_t granule) noexcept {
  if (offset >= file.size() || size == 0) return {};
  const std::size_t end = offset + std::min(size, file.size() - offset);
  const std::size_t first = offset / granule * granule;
  const std::size_t last = std::min((end + granule - 1) / granule * granule,
                                    (file.size() + page_size() - 1) / page_size() * page_size());
  return {const_cast<std::byte*>(file.data()) + first, last - first};
}

std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string read_text(const std::filesystem::path& path, std::size_t max_bytes) {
  std::size_t size = 0;
  const Fd fd = open_regular(path, size);
  if (size > max_bytes) {
    throw Error(ErrorCode::file_io, fmt::format("{} bytes, at most {} are read", size, max_bytes))
        .at(path.string());
  }
  std::string text(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    const ssize_t piece = ::read(fd.get(), text.data() + got, size - got);
    if (piece < 0 && errno == EINTR) continue;
    if (piece < 0) throw Error(ErrorCode::file_io, errno_text(errno)).at(path.string());
    if (piece == 0) break;
    got += static_cast<std::size_t>(piece);
  }
  text.resize(got);
  refuse_lfs_pointer(text, path);
  return text;
}

void write_text(const std::filesystem::path& path, std::string_view text, unsigned mode) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);  // a folder or a protected file makes the creation fail
  Fd fd = create_file(path);
  write_at(fd, path, std::as_bytes(std::span(text.data(), text.size())), 0, text.size());
  finish_file(fd, path, mode);
}

MappedFile::MappedFile(const std::filesystem::path& path, Pointers pointers) : path_(path) {
  const Fd fd = open_regular(path, size_);
  if (size_ == 0) return;  // an empty mapping is not allowed, an empty file is
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (mapped == MAP_FAILED) {
    throw Error(ErrorCode::file_io,
                fmt::format("cannot map {} bytes: {}", size_, errno_text(errno)))
        .at(path.string());
  }
  data_ = static_cast<const std::byte*>(mapped);
  try {
    if (pointers == Pointers::refuse) refuse_lfs_pointer(text_of(bytes()), path);
  } catch (...) {
    ::munmap(mapped, size_);
    throw;
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

void MappedFile::release(std::size_t offset, std::size_t size) const noexcept {
  const PageRange range = widened(bytes(), offset, size, kFaultAroundBytes);
  if (range.size != 0) ::madvise(range.begin, range.size, MADV_DONTNEED);
}

void MappedFile::prefetch(std::size_t offset, std::size_t size) const noexcept {
  const PageRange range = widened(bytes(), offset, size, page_size());
  if (range.size != 0) ::madvise(range.begin, range.size, MADV_WILLNEED);
}

void MappedFile::populate(std::size_t offset, std::size_t size) const noexcept {
  const PageRange range = widened(bytes(), offset, size, page_size());
  if (range.size == 0) return;
  ::madvise(range.begin, range.size, MADV_WILLNEED);
#ifdef MADV_POPULATE_READ
  ::madvise(range.begin, range.size, MADV_POPULATE_READ);  // older kernels refuse: no harm
#endif
}

}  // namespace pare::io
