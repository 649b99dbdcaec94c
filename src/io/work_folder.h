// A hidden folder beside a target, for what is being written until it is complete.
#pragma once

#include "io/fd.h"
#include "pare/context.h"

#include <filesystem>

namespace pare::io {

/// Absolute and without a trailing slash, so that parent and name are what they seem.
/// Errors: output_not_writable for an empty path.
std::filesystem::path clean_target(const std::filesystem::path& target);

/// `.NAME.pare-tmp-PID-N` beside a target called NAME, removed with all it holds at the end. A run
/// that is killed leaves it behind; the next run beside it finds it by its mark (run_mark.h).
class WorkFolder {
 public:
  /// What is moved out of the target's way, and goes back there when the run is killed before the
  /// target is whole again.
  static constexpr const char* kOld = "old";

  /// Removes what runs that were killed left in the same parent, and says so; what may belong to
  /// a living run is left alone. `target` as `clean_target` gives it.
  /// Errors: output_not_writable when the parent is missing or read-only.
  WorkFolder(const Context& ctx, const std::filesystem::path& target);
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  /// Removes it early, with all it holds.
  void remove() noexcept;

  /// Mode 0700.
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
  Fd mark_;
};

}  // namespace pare::io
