#include "containers/npy/rows_writer.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace pare::containers {
namespace {

/// Version 1.0: magic, header length, a Python dict padded with blanks to a multiple of 64.
std::string header(std::int64_t rows, std::int64_t cols) {
  constexpr std::size_t kPrefix = 10;
  std::string dict =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, cols);
  dict.append(63 - (kPrefix + dict.size()) % 64, ' ');
  dict += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(dict.size() & 0xFFU);
  out += static_cast<char>(dict.size() >> 8);
  return out + dict;
}

/// Devices and the like are never replaced by a file.
std::filesystem::path file_target(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    const bool folder = std::filesystem::is_directory(status);
    throw Error(ErrorCode::output_not_writable,
                folder ? "a folder stands there" : "it is no regular file")
        .at(path.string())
        .hint("give the name of a new file");
  }
  return io::clean_target(path);
}

}  // namespace

NpyRowsWriter::NpyRowsWriter(const Context& ctx, const std::filesystem::path& path,
                             std::int64_t rows, std::int64_t cols)
    : path_(file_target(path)), rows_left_(rows), cols_(cols), work_(ctx, path_) {
  temporary_ = work_.path() / "new";
  file_ = std::fopen(temporary_.c_str(), "wbxe");
  if (file_ == nullptr) fail(std::strerror(errno));
  const std::string head = header(rows, cols);
  put(head.data(), head.size());
}

NpyRowsWriter::~NpyRowsWriter() {
  if (file_ != nullptr) std::fclose(file_);
}

void NpyRowsWriter::fail(const char* what) const {
  throw Error(ErrorCode::output_not_writable, what)
      .at(path_.string())
      .hint("does the folder exist, may you write there, and is the disk full?");
}

void NpyRowsWriter::put(const void* data, std::size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes) fail(std::strerror(errno));
}

void NpyRowsWriter::write(MatrixView<const float> rows) {
  if (rows.cols != cols_ || rows.rows > rows_left_) {
    throw Error(ErrorCode::internal, fmt::format("rows [{}, {}] do not fit", rows.rows, rows.cols))
        .at(path_.string());
  }
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    put(rows.row(r), static_cast<std::size_t>(cols_) * sizeof(float));
  }
  rows_left_ -= rows.rows;
}

void NpyRowsWriter::finish() {
  if (rows_left_ != 0) {
    throw Error(ErrorCode::internal, fmt::format("{} rows were not written", rows_left_))
        .at(path_.string());
  }
  std::FILE* file = file_;
  file_ = nullptr;
  std::error_code failed;
  if (std::fclose(file) == 0)
    std::filesystem::rename(temporary_, path_, failed);
  else
    failed = std::error_code(errno, std::generic_category());
  if (failed) fail(failed.message().c_str());
  work_.remove();
}

}  // namespace pare::containers
