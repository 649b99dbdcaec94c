// An output folder that appears whole or not at all.
#pragma once

#include <filesystem>

namespace pare::io {

/// Everything is written into a temporary sibling of the target; `commit` renames it into place.
/// Without commit the destructor removes the temporary folder, so an error or Ctrl-C leaves nothing.
class OutputDir {
 public:
  /// Errors: output_exists when the target is there and `overwrite` is false (also when the target
  /// is not a folder of ours to replace: a file, or the filesystem root), output_not_writable when
  /// the parent is missing or read-only.
  OutputDir(const std::filesystem::path& target, bool overwrite);
  ~OutputDir();
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

  /// The temporary folder to write into (mode 0750).
  const std::filesystem::path& path() const noexcept { return temporary_; }
  const std::filesystem::path& target() const noexcept { return target_; }

  /// Renames into place; an old target is moved aside first and removed afterwards.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

}  // namespace pare::io
