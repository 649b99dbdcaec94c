// A two-dimensional f32 `.npy` file written row by row, for arrays larger than memory.
#pragma once

#include "io/work_folder.h"
#include "pare/context.h"
#include "pare/tensor.h"

#include <cstdint>
#include <cstdio>
#include <filesystem>

namespace pare::containers {

/// Rows go into a work folder beside the file and are renamed into place by `finish`; without it
/// nothing stays. A file that stands there already is replaced.
class NpyRowsWriter {
 public:
  /// Errors: output_not_writable.
  NpyRowsWriter(const Context& ctx, const std::filesystem::path& path, std::int64_t rows,
                std::int64_t cols);
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
  std::int64_t rows_left_;
  std::int64_t cols_;
  io::WorkFolder work_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace pare::containers
