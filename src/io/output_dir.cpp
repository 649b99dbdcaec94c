#include "io/output_dir.h"

#include "io/fd.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

namespace pare::io {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxNameTries = 1000;

/// A name beside the target that no other run uses.
fs::path sibling_name(const fs::path& target, std::string_view purpose) {
  static std::atomic<int> counter{0};
  return target.parent_path() / fmt::format(".{}.pare-{}-{}-{}", target.filename().string(),
                                            purpose, ::getpid(), counter.fetch_add(1));
}

[[noreturn]] void refuse(const fs::path& target, std::string_view why, std::string_view hint) {
  throw Error(ErrorCode::output_exists, std::string(why))
      .at(target.string())
      .hint(std::string(hint));
}

bool is_output_marker(const fs::path& file) {
  const std::string name = file.filename().string();
  return name == "report.json" || name == "pare_packed.json" || name == "pare_dat.json" ||
         (name.starts_with("quant_model_description") && name.ends_with(".json"));
}

/// Only what a run of this program could have written may be replaced: a mistyped path must never
/// delete someone's data.
bool may_replace(const fs::path& folder, std::error_code& error) {
  fs::directory_iterator entries(folder, error);
  if (error) return false;
  bool empty = true;
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    if (error) return false;
    if (is_output_marker(entries->path())) return true;
    empty = false;
  }
  return empty;
}

bool is_protected(const fs::path& folder) {
  if (folder == folder.root_path()) return true;
  std::error_code error;
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0' && fs::equivalent(folder, home, error)) return true;
  return fs::equivalent(folder, fs::current_path(error), error);
}

void check_target(const fs::path& target, bool overwrite) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(target, error);
  if (!fs::exists(status)) return;
  if (fs::is_symlink(status)) refuse(target, "a symbolic link", "choose another folder");
  if (!fs::is_directory(status)) refuse(target, "not a folder", "choose another folder");
  if (is_protected(target)) {
    refuse(target, "the root, home or current folder is never replaced", "choose another folder");
  }
  if (!overwrite) refuse(target, "the folder is there already", "choose another, or use --force");
  if (may_replace(target, error)) return;
  if (error) refuse(target, "cannot look into it: " + error.message(), "choose another folder");
  refuse(target,
         "it holds files but no report.json, quant_model_description*.json, pare_packed.json or "
         "pare_dat.json, so Pare did not write it and will not delete it",
         "choose another folder, or remove this one yourself");
}

[[noreturn]] void fail_write(const fs::path& path, const std::string& why, std::string_view hint) {
  throw Error(ErrorCode::output_not_writable, why).at(path.string()).hint(std::string(hint));
}

fs::path make_temporary(const fs::path& target) {
  for (int i = 0; i < kMaxNameTries; ++i) {
    const fs::path candidate = sibling_name(target, "tmp");
    if (::mkdir(candidate.c_str(), 0700) == 0) return candidate;
    const int error = errno;
    if (error == EEXIST) continue;
    const fs::path parent = target.parent_path();
    if (error == ENOENT) fail_write(parent, "there is no such folder", "make it first: mkdir -p");
    if (error == ENOTDIR) fail_write(parent, "not a folder", "choose another place");
    fail_write(parent, errno_text(error), "make the folder writable, or choose another place");
  }
  fail_write(target.parent_path(), "no free temporary name", "remove old .*.pare-tmp-* folders");
}

/// Absolute and without a trailing slash, so that parent and name are what they seem.
fs::path normal(const fs::path& target) {
  if (target.empty()) throw Error(ErrorCode::output_not_writable, "the output folder has no name");
  const fs::path clean = fs::absolute(target).lexically_normal();
  return clean.has_filename() ? clean : clean.parent_path();
}

}  // namespace

OutputDir::OutputDir(const fs::path& target, bool overwrite)
    : target_(normal(target)), overwrite_(overwrite) {
  check_target(target_, overwrite);
  temporary_ = make_temporary(target_);
  ::chmod(temporary_.c_str(),
          0750);  // exactly, whatever the umask; some file systems have no modes
}

OutputDir::~OutputDir() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void OutputDir::commit() {
  check_target(target_, overwrite_);
  std::error_code error;
  fs::path old;
  if (fs::exists(fs::symlink_status(target_, error))) {
    old = sibling_name(target_, "old");
    fs::rename(target_, old, error);
    if (error) fail_write(target_, "cannot move the old folder aside: " + error.message(), "");
  }
  fs::rename(temporary_, target_, error);
  if (error) {
    const std::string why = error.message();
    if (!old.empty()) fs::rename(old, target_, error);
    fail_write(target_, "cannot rename the finished folder into place: " + why, "");
  }
  committed_ = true;
  if (!old.empty()) fs::remove_all(old, error);
}

}  // namespace pare::io
