// A file that tells whether the run which made a folder is still alive.
#pragma once

#include "io/fd.h"

#include <filesystem>
#include <string_view>

namespace pare::io {

/// The file in a folder that says who uses it. Who made it holds a lock on it (flock) until the
/// process ends, however it ends: a process id alone could by now be another program's.
inline constexpr std::string_view kRunMark = "in-use";

/// Makes the mark; it counts as long as the handle is open. An invalid handle when another run took
/// the folder, empty as it still is, for what a dead one left. Errors: output_not_writable.
Fd mark_in_use(const std::filesystem::path& folder);

enum class Owner {
  lives,
  died,    // on this machine, so that its lock would be seen; or before it wrote anything
  unknown  // no mark, no locks on this file system, or another machine's on a shared disk
};

/// `lock` is the caller's when the owner died, so that no one else takes the folder too.
Owner owner_of(const std::filesystem::path& folder, Fd& lock);

}  // namespace pare::io
