// An output folder that appears whole or not at all.
#pragma once

#include "io/work_folder.h"
#include "pare/context.h"

#include <filesystem>

namespace pare::io {

/// Everything is written into a work folder beside the target; `commit` renames it into place.
/// Without commit the destructor removes it, so an error or Ctrl-C leaves nothing; what a killed
/// run leaves, the next one beside it removes.
class OutputDir {
 public:
  /// With `overwrite` an existing folder is replaced, but only an empty one or one that an earlier
  /// run made (it holds report.json, quant_model_description*.json, pare_packed.json or
  /// pare_dat.json). Errors: output_exists when the target is there and may not be replaced (never
  /// a file, a link, the root, home or current folder); output_not_writable when the parent is
  /// missing or read-only.
  OutputDir(const Context& ctx, const std::filesystem::path& target, bool overwrite);
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

  /// The folder to write into (mode 0750).
  const std::filesystem::path& path() const noexcept { return path_; }
  const std::filesystem::path& target() const noexcept { return target_; }

  /// Renames into place; an old target is moved aside first and removed afterwards.
  /// Errors: output_not_writable; output_exists when the target appeared in the meantime.
  void commit();

 private:
  std::filesystem::path target_;
  bool overwrite_ = false;
  WorkFolder work_;
  std::filesystem::path path_;  // in the work folder
};

}  // namespace pare::io
