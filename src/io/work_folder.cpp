#include "io/work_folder.h"

#include "io/run_mark.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pare::io {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxNameTries = 1000;
constexpr std::string_view kInfix = ".pare-tmp-";

[[noreturn]] void fail_write(const fs::path& path, const std::string& why, std::string_view hint) {
  throw Error(ErrorCode::output_not_writable, why).at(path.string()).hint(std::string(hint));
}

fs::path make_folder(const fs::path& target) {
  static std::atomic<int> counter{0};
  const fs::path parent = target.parent_path();
  for (int i = 0; i < kMaxNameTries; ++i) {
    const std::string name = fmt::format(".{}{}{}-{}", target.filename().string(), kInfix,
                                         ::getpid(), counter.fetch_add(1));
    if (::mkdir((parent / name).c_str(), 0700) == 0) return parent / name;
    const int error = errno;
    if (error == EEXIST) continue;
    if (error == ENOENT) fail_write(parent, "there is no such folder", "make it first: mkdir -p");
    if (error == ENOTDIR) fail_write(parent, "not a folder", "choose another place");
    fail_write(parent, errno_text(error), "make the folder writable, or choose another place");
  }
  fail_write(parent, "no free temporary name", "remove old .*.pare-tmp-* folders");
}

/// The mark goes last: until then others see whose the folder is.
void remove_marked(const fs::path& folder) noexcept {
  std::error_code ignored;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    if (entry->path().filename() == kRunMark) continue;
    std::error_code kept;
    fs::remove_all(entry->path(), kept);
  }
  fs::remove(folder / kRunMark, ignored);
  fs::remove(folder, ignored);
}

/// NAME of ".NAME.pare-tmp-PID-N"; nothing for other names.
std::optional<std::string> target_name(const std::string& name) {
  const std::size_t infix = name.rfind(kInfix);
  if (!name.starts_with('.') || infix == std::string::npos || infix < 2) return std::nullopt;
  const std::string numbers = name.substr(infix + kInfix.size());
  const std::size_t dash = numbers.find('-');
  const bool digits = numbers.find_first_not_of("0123456789-") == std::string::npos;
  if (!digits || dash == 0 || dash != numbers.rfind('-') || dash + 1 >= numbers.size())
    return std::nullopt;
  return name.substr(1, infix - 1);
}

bool is_own_folder(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
}

/// Work folders of this user in `parent`, sorted.
std::vector<fs::path> work_folders(const fs::path& parent) {
  std::vector<fs::path> found;
  std::error_code unreadable;
  for (fs::directory_iterator entry(parent, unreadable), end; !unreadable && entry != end;
       entry.increment(unreadable)) {
    if (!target_name(entry->path().filename().string()).has_value()) continue;
    if (is_own_folder(entry->path())) found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// The run was killed while it replaced an older output: that one is whole, and the only one.
void put_back_old(const Context& ctx, const fs::path& folder) {
  const fs::path target =
      folder.parent_path() / target_name(folder.filename().string()).value_or("");
  std::error_code error;
  if (fs::exists(fs::symlink_status(target, error))) return;
  fs::rename(folder / WorkFolder::kOld, target, error);
  if (error) return;
  ctx.warning(fmt::format("put {} back as it was before a run with --force that was killed",
                          target.string()));
}

void remove_leftover(const Context& ctx, const fs::path& folder) {
  Fd lock;
  const Owner owner = owner_of(folder, lock);
  if (owner == Owner::lives) return;
  if (owner == Owner::unknown) {
    ctx.info(
        fmt::format("{} looks like what a killed run left behind, but nothing proves it; "
                    "remove it if no run is writing there",
                    folder.string()));
    return;
  }
  put_back_old(ctx, folder);
  remove_marked(folder);
  ctx.info(fmt::format("removed {}, which a run that was killed had left behind", folder.string()));
}

}  // namespace

fs::path clean_target(const fs::path& target) {
  if (target.empty()) throw Error(ErrorCode::output_not_writable, "the output has no name");
  const fs::path clean = fs::absolute(target).lexically_normal();
  return clean.has_filename() ? clean : clean.parent_path();
}

WorkFolder::WorkFolder(const Context& ctx, const fs::path& target) {
  for (const fs::path& folder : work_folders(target.parent_path()))
    remove_leftover(ctx, folder);
  while (!mark_.valid()) {
    path_ = make_folder(target);
    try {
      mark_ = mark_in_use(path_);
    } catch (...) {
      remove_marked(path_);
      throw;
    }
  }
}

WorkFolder::~WorkFolder() { remove(); }

void WorkFolder::remove() noexcept {
  remove_marked(path_);
  mark_.close();
}

}  // namespace pare::io
