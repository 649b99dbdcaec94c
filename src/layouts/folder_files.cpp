#include "layouts/folder_files.h"

#include <algorithm>
#include <system_error>

namespace pare::layout {

std::vector<std::string> files_named(const std::filesystem::path& folder, std::string_view begin,
                                     std::string_view end) {
  std::vector<std::string> names;
  std::error_code unreadable;
  std::filesystem::directory_iterator entry(folder, unreadable);
  while (!unreadable && entry != std::filesystem::directory_iterator()) {
    const std::string name = entry->path().filename().string();
    const bool long_enough = name.size() >= begin.size() + end.size();
    if (long_enough && name.starts_with(begin) && name.ends_with(end)) names.push_back(name);
    entry.increment(unreadable);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace pare::layout
