// A two-dimensional f32 `.npy` file written row by row, for arrays larger than memory.
#pragma once

#include "pare/tensor.h"

#include <cstdint>
#include <cstdio>
#include <filesystem>

namespace pare::containers {

/// Rows go into a temporary sibling that is renamed into place by `finish`; without `finish` the
/// destructor removes it. A file that stands there already is replaced.
class NpyRowsWriter {
 public:
  /// Errors: output_not_writable.
  NpyRowsWriter(const std::filesystem::path& path, std::int64_t rows, std::int64_t cols);
  ~NpyRowsWriter();
  NpyRowsWriter(const NpyRowsWriter&) = delete;
  NpyRowsWriter& operator=(const NpyRowsWriter&) = delete;

  /// Errors: output_not_writable; internal when the rows do not fit the declared shape.
  void write(MatrixView<const float> rows);
  /// Errors: output_not_writable; internal when rows are missing.
  void finish();

 private:
  void put(const void* data, std::size_t bytes);
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
  std::int64_t rows_left_;
  std::int64_t cols_;
};

}  // namespace pare::containers
