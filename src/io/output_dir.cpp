#include "io/output_dir.h"

#include "io/fd.h"
#include "pare/error.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

namespace pare::io {
namespace {

namespace fs = std::filesystem;

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

[[noreturn]] void fail_commit(const fs::path& target, const std::string& why) {
  throw Error(ErrorCode::output_not_writable, why).at(target.string());
}

fs::path checked_target(const fs::path& target, bool overwrite) {
  fs::path clean = clean_target(target);
  check_target(clean, overwrite);
  return clean;
}

}  // namespace

OutputDir::OutputDir(const Context& ctx, const fs::path& target, bool overwrite)
    : target_(checked_target(target, overwrite)), overwrite_(overwrite), work_(ctx, target_) {
  path_ = work_.path() / "new";
  if (::mkdir(path_.c_str(), 0750) != 0) fail_commit(path_, errno_text(errno));
  ::chmod(path_.c_str(), 0750);  // exactly, whatever the umask; some file systems have no modes
}

void OutputDir::commit() {
  check_target(target_, overwrite_);
  const fs::path old = work_.path() / WorkFolder::kOld;
  std::error_code error;
  const bool replaces = fs::exists(fs::symlink_status(target_, error));
  if (replaces) {
    fs::rename(target_, old, error);
    if (error) fail_commit(target_, "cannot move the old folder aside: " + error.message());
  }
  fs::rename(path_, target_, error);
  if (!error) return work_.remove();
  const std::string why = error.message();
  if (replaces) fs::rename(old, target_, error);
  fail_commit(target_, "cannot rename the finished folder into place: " + why);
}

}  // namespace pare::io
