#include "io/file_writer.h"

namespace pare::io {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

}  // namespace

FileWriter::FileWriter(const std::filesystem::path& path) : path_(path), fd_(create_file(path)) {
  buffer_.reserve(kBufferBytes);
}

void FileWriter::write(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  if (bytes.size() > kBufferBytes) {
    write_at(fd_, path_, bytes, flushed_, flushed_ + bytes.size());
    flushed_ += bytes.size();
    return;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void FileWriter::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void FileWriter::patch(std::size_t offset, std::byte value) {
  flush();
  write_at(fd_, path_, std::span(&value, 1), offset, flushed_);
}

void FileWriter::finish(unsigned mode) {
  flush();
  finish_file(fd_, path_, mode);
}

void FileWriter::flush() {
  write_at(fd_, path_, buffer_, flushed_, flushed_ + buffer_.size());
  flushed_ += buffer_.size();
  buffer_.clear();
}

}  // namespace pare::io
