// Which tensors of a folder hold 4-bit codes two to a byte.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace pare::pipeline {

/// As far as the layout of the folder is known; none for files that contradict it.
std::set<std::string> nibble_tensors(const std::filesystem::path& folder);

}  // namespace pare::pipeline
