#include "containers/safetensors/shard_files.h"

#include "containers/in_quotes.h"
#include "io/json.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".safetensors";
constexpr std::string_view kIndexExtension = ".safetensors.index.json";
constexpr std::string_view kPackedNpy = ".npy.safetensors";
constexpr int kMaxShards = 100'000;
constexpr std::size_t kMaxListed = 5;

[[noreturn]] void bad_index(const fs::path& where, const std::string& what,
                            const std::string& hint) {
  throw Error(ErrorCode::bad_index, what).at(where.string()).hint(hint);
}

/// "a, b, c and 4 more"
std::string some_of(const std::vector<std::string>& names) {
  const std::size_t shown = std::min(names.size(), kMaxListed);
  std::string text = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

/// `base-0000k-of-0000N.safetensors` taken apart.
struct ShardName {
  std::string base;
  int number = 0;
  int count = 0;
  std::size_t digits = 5;

  std::string of(int k) const {
    return fmt::format("{}-{:0{}}-of-{:0{}}{}", base, k, digits, count, digits, kExtension);
  }
};

std::optional<int> parse_digits(std::string_view text) {
  int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (text.front() == '-' || value > kMaxShards) return std::nullopt;
  return value;
}

std::optional<ShardName> parse_shard_name(std::string_view file) {
  if (!file.ends_with(kExtension)) return std::nullopt;
  const std::string_view stem = file.substr(0, file.size() - kExtension.size());
  const std::size_t of = stem.rfind("-of-");
  if (of == std::string_view::npos || of == 0) return std::nullopt;
  const std::size_t dash = stem.rfind('-', of - 1);
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view number = stem.substr(dash + 1, of - dash - 1);
  const std::string_view count = stem.substr(of + 4);
  if (number.empty() || count.size() != number.size()) return std::nullopt;
  const auto k = parse_digits(number);
  const auto n = parse_digits(count);
  if (!k || !n || *k < 1 || *k > *n) return std::nullopt;
  return ShardName{std::string(stem.substr(0, dash)), *k, *n, number.size()};
}

/// Names of the regular files (links followed) with an ending, sorted; packed `.npy` dictionaries
/// are no shards.
std::vector<std::string> names_ending(const fs::path& folder, std::string_view ending) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(ending) || name.starts_with('.') || !entry.is_regular_file()) continue;
    if (name.ends_with(kPackedNpy)) continue;
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find_first_of("/\\") == std::string_view::npos &&
         std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

/// Where the index is, if there is one; several need a `model` one among them.
fs::path find_index(const fs::path& folder) {
  const std::vector<std::string> names = names_ending(folder, kIndexExtension);
  if (names.empty()) return {};
  if (names.size() == 1) return folder / names.front();
  const std::string usual = "model" + std::string(kIndexExtension);
  if (std::find(names.begin(), names.end(), usual) != names.end()) return folder / usual;
  bad_index(folder, "several indexes: " + some_of(names), "remove those that do not belong here");
}

std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const io::Json json = io::read_json(index);
  const auto found = json.is_object() ? json.find("weight_map") : json.end();
  if (found == json.end() || !found->is_object()) {
    bad_index(index, "no object \"weight_map\"", "fetch the file again");
  }
  std::map<std::string, std::string> file_of;
  for (const auto& [tensor, file] : found->items()) {
    if (!file.is_string())
      bad_index(index, in_quotes(tensor) + " has no file name", "fetch the file again");
    const std::string name = file.get<std::string>();
    if (!is_plain_name(name) || !name.ends_with(kExtension)) {
      bad_index(index,
                fmt::format("{} lies in {}, which is no plain *.safetensors name",
                            in_quotes(tensor), in_quotes(name)),
                "shards must lie beside their index");
    }
    file_of.emplace(tensor, name);
  }
  if (file_of.empty()) bad_index(index, "the weight_map is empty", "fetch the file again");
  return file_of;
}

/// Shards of a numbered set that `names` lacks.
std::vector<std::string> missing_shards(const ShardName& one, const std::set<std::string>& names) {
  std::vector<std::string> missing;
  for (int k = 1; k <= one.count; ++k) {
    if (!names.contains(one.of(k))) missing.push_back(one.of(k));
  }
  return missing;
}

ShardFiles files_of_index(const fs::path& index) {
  ShardFiles out;
  out.index = index;
  out.file_of = read_weight_map(index);
  std::set<std::string> names;
  for (const auto& [tensor, file] : out.file_of)
    names.insert(file);

  std::vector<std::string> absent;
  for (const std::string& name : names) {
    const fs::path file = index.parent_path() / name;
    std::error_code error;
    if (!fs::is_regular_file(file, error)) absent.push_back(name);
    out.files.push_back(file);
  }
  if (!absent.empty()) {
    bad_index(
        index,
        fmt::format("missing {}: {}", absent.size() == 1 ? "shard" : "shards", some_of(absent)),
        "fetch the missing files; if the weights were saved anew under other names, the index is "
        "stale: delete it");
  }
  for (const std::string& name : names) {
    const auto shard = parse_shard_name(name);
    if (!shard) continue;
    const std::vector<std::string> unnamed = missing_shards(*shard, names);
    if (unnamed.empty()) continue;
    bad_index(index, "the weight_map leaves out " + some_of(unnamed),
              "the index is incomplete: fetch it again");
  }
  return out;
}

/// The set a folder without index means, as file names.
std::vector<std::string> choose_without_index(const fs::path& folder,
                                              const std::vector<std::string>& names) {
  const std::string usual = "model" + std::string(kExtension);
  if (std::find(names.begin(), names.end(), usual) != names.end()) return {usual};
  const std::set<std::string> all(names.begin(), names.end());
  std::map<std::string, ShardName> sets;  // by the name of the first shard
  for (const std::string& name : names) {
    const auto shard = parse_shard_name(name);
    if (shard) sets.emplace(shard->of(1), *shard);
  }
  if (sets.empty() && names.size() == 1) return names;
  if (sets.size() != 1) {
    bad_index(folder, "several weight files and no index: " + some_of(names),
              "leave the ones that are meant in the folder, or put their index beside them");
  }
  const ShardName& shard = sets.begin()->second;
  const std::vector<std::string> missing = missing_shards(shard, all);
  if (!missing.empty())
    bad_index(folder, "missing of a set of shards: " + some_of(missing), "fetch the missing files");
  std::vector<std::string> chosen;
  for (int k = 1; k <= shard.count; ++k)
    chosen.push_back(shard.of(k));
  return chosen;
}

ShardFiles find_files(const fs::path& folder) {
  const fs::path index = find_index(folder);
  if (!index.empty()) return files_of_index(index);
  const std::vector<std::string> names = names_ending(folder, kExtension);
  if (names.empty())
    throw Error(ErrorCode::file_not_found, "no *.safetensors file").at(folder.string());
  ShardFiles out;
  for (const std::string& name : choose_without_index(folder, names))
    out.files.push_back(folder / name);
  return out;
}

}  // namespace

bool has_safetensors(const fs::path& folder) noexcept {
  try {
    return !names_ending(folder, kExtension).empty() ||
           !names_ending(folder, kIndexExtension).empty();
  } catch (...) {
    return false;
  }
}

ShardFiles find_shard_files(const fs::path& folder) {
  try {
    return find_files(folder);
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::file_io, error.code().message()).at(folder.string());
  }
}

}  // namespace pare::containers
