// Finds files of a folder by how their names begin and end.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pare::layout {

/// Names of the files in `folder` that begin and end so, sorted; none when it cannot be listed.
std::vector<std::string> files_named(const std::filesystem::path& folder, std::string_view begin,
                                     std::string_view end);

}  // namespace pare::layout
