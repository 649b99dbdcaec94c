#include "io/run_mark.h"

#include "pare/error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <span>
#include <string>
#include <system_error>

namespace pare::io {
namespace {

constexpr std::string_view kLocked = "locked";

std::string first_line(const char* file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// What a running kernel calls itself: locks of all processes under it are seen, in containers too.
std::string boot_id() { return first_line("/proc/sys/kernel/random/boot_id"); }

/// The same after a restart; "" where there is no telling.
std::string machine() {
  const std::string id = first_line("/etc/machine-id");
  std::array<char, 256> host{};
  if (id.empty() || ::gethostname(host.data(), host.size() - 1) != 0) return "";
  return fmt::format("{} {}", id, host.data());
}

bool lock(const Fd& fd, int how) {
  while (::flock(fd.get(), how) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

/// Whether a lock of the process that wrote `mark` would have been seen here.
bool is_of_this_machine(const std::string& mark) {
  const std::string boot = boot_id();
  const std::string here = machine();
  return (!boot.empty() && mark.starts_with(fmt::format("{}\n{}\n", kLocked, boot))) ||
         (!here.empty() && mark.starts_with(kLocked) && mark.ends_with("\n" + here + "\n"));
}

std::string text_of(const Fd& fd) {
  std::array<char, 1024> text{};
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
  return got > 0 ? std::string(text.data(), static_cast<std::size_t>(got)) : "";
}

bool is_still_at(const Fd& fd, const std::filesystem::path& file) {
  struct stat open {};
  struct stat there {};
  return ::fstat(fd.get(), &open) == 0 && ::lstat(file.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

}  // namespace

Fd mark_in_use(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kRunMark;
  Fd fd;
  try {
    fd = create_file(file);
  } catch (const Error&) {
    std::error_code ignored;
    if (!std::filesystem::exists(folder, ignored)) return {};
    throw;
  }
  // Some network file systems have no locks: then nobody can tell later, and the mark says so.
  const bool locked = lock(fd, LOCK_EX);
  if (!is_still_at(fd, file)) return {};
  const std::string text =
      fmt::format("{}\n{}\n{}\n", locked ? kLocked : "not locked", boot_id(), machine());
  write_at(fd, file, std::as_bytes(std::span(text)), 0, text.size());
  return fd;
}

Owner owner_of(const std::filesystem::path& folder, Fd& held) {
  const std::filesystem::path file = folder / kRunMark;
  Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) {
    std::error_code error;
    return std::filesystem::is_empty(folder, error) && !error ? Owner::died : Owner::unknown;
  }
  if (!lock(fd, LOCK_EX | LOCK_NB)) {
    return errno == EWOULDBLOCK ? Owner::lives : Owner::unknown;
  }
  const std::string mark = text_of(fd);
  if (!mark.empty() && !is_of_this_machine(mark)) return Owner::unknown;
  held = std::move(fd);
  return Owner::died;
}

}  // namespace pare::io
