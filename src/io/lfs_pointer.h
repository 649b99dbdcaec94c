// What `git clone` leaves in place of large files when Git LFS is not there to fetch them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace pare::io {

/// True for the content of a pointer. Source: the specification of git-lfs, docs/spec.md.
bool is_lfs_pointer(std::string_view content) noexcept;

/// The same for a file; false when it cannot be read.
bool is_lfs_pointer_file(const std::filesystem::path& path) noexcept;

/// What people should know when such a file is copied.
std::string lfs_pointer_warning(std::string_view name);

/// Errors: lfs_pointer when the content is that of a pointer.
void refuse_lfs_pointer(std::string_view content, const std::filesystem::path& path);

}  // namespace pare::io
