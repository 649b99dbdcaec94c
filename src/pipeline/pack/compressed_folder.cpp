#include "pipeline/pack/compressed_folder.h"

#include "io/file.h"
#include "io/file_writer.h"
#include "io/hash.h"
#include "io/json.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr int kFolderVersion = 1;
constexpr std::array<std::string_view, 3> kKeptNames = {"packed", "copied", "aside"};
constexpr std::string_view kSealKey = ",\n  \"seal\": \"";

[[noreturn]] void damaged(const std::string& detail) {
  throw Error(ErrorCode::corrupt_stream, detail)
      .hint("copy the folder again whole, from where it came");
}

std::string seal_of(std::string_view text) {
  return fmt::format("{:016x}", io::xxh3(std::as_bytes(std::span(text.data(), text.size()))));
}

io::Json file_json(const OriginalFile& file) {
  io::Json json = {{"name", file.name},
                   {"size", file.size},
                   {"sha256", file.sha256},
                   {"mode", fmt::format("{:04o}", file.mode)},
                   {"kept", kKeptNames[static_cast<std::size_t>(file.kept)]}};
  if (file.stored != file.name) json["stored"] = file.stored;
  if (file.kept == Kept::aside) json["rewritten_sha256"] = file.rewritten_sha256;
  return json;
}

/// A name that leads nowhere but into the folder.
std::string inner_name(const io::Json& json, const char* key) {
  const std::string name = json.value(key, std::string());
  const fs::path path(name);
  const bool upwards = std::any_of(path.begin(), path.end(), [](const fs::path& part) {
    return part.empty() || part == ".." || part == ".";
  });
  if (name.empty() || path.has_root_path() || upwards) {
    damaged(fmt::format("\"{}\" is no name of a file in the folder", name));
  }
  return name;
}

unsigned mode_from(const std::string& octal) {
  unsigned mode = 0;
  for (const char digit : octal) {
    if (digit < '0' || digit > '7' || mode > 0777) damaged("a mode is not octal");
    mode = mode * 8 + static_cast<unsigned>(digit - '0');
  }
  if (octal.empty()) damaged("a mode is empty");
  return mode;
}

OriginalFile file_from(const io::Json& json) {
  OriginalFile file;
  file.name = inner_name(json, "name");
  file.stored = json.contains("stored") ? inner_name(json, "stored") : file.name;
  file.size = json.at("size").get<std::size_t>();
  file.sha256 = json.at("sha256").get<std::string>();
  file.mode = mode_from(json.at("mode").get<std::string>());
  const auto kept =
      std::find(kKeptNames.begin(), kKeptNames.end(), json.at("kept").get<std::string>());
  if (kept == kKeptNames.end()) damaged("a file is kept in an unknown way");
  file.kept = static_cast<Kept>(kept - kKeptNames.begin());
  file.rewritten_sha256 = json.value("rewritten_sha256", std::string());
  return file;
}

CompressedFolder folder_from(const io::Json& json) {
  const auto version = json.at("pare_packed").get<int>();
  if (version != kFolderVersion) {
    throw Error(ErrorCode::feature_not_supported,
                fmt::format("packed by a later version ({}) than this program knows ({})", version,
                            kFolderVersion))
        .hint("use a later pare");
  }
  CompressedFolder packed;
  packed.tier = json.at("tier").get<std::string>();
  packed.weight_bytes = json.at("weight_bytes").get<std::size_t>();
  packed.packed_bytes = json.at("packed_bytes").get<std::size_t>();
  if (json.contains("pseudo_sparse")) {
    const io::Json& changed = json["pseudo_sparse"];
    packed.changed =
        PseudoSparse{changed.at("ratio").get<double>(), changed.at("seed").get<std::uint64_t>()};
  }
  for (const io::Json& file : json.at("files"))
    packed.files.push_back(file_from(file));
  return packed;
}

/// The checksum stands last, so that it covers everything before it. Every byte counts.
void check_seal(std::string_view text) {
  const std::size_t at = text.rfind(kSealKey);
  if (at == std::string_view::npos) damaged("it is cut off, or its checksum is damaged");
  const std::string_view body = text.substr(0, at);
  if (text == fmt::format("{}{}{}\"\n}}\n", body, kSealKey, seal_of(body))) return;
  damaged("it is not what its checksum says");
}

}  // namespace

std::string packed_folder_text(const CompressedFolder& packed) {
  io::Json json = {{"pare_packed", kFolderVersion},
                   {"tier", packed.tier},
                   {"weight_bytes", packed.weight_bytes},
                   {"packed_bytes", packed.packed_bytes}};
  if (packed.changed) {
    json["pseudo_sparse"] = {{"ratio", packed.changed->ratio}, {"seed", packed.changed->seed}};
  }
  json["files"] = io::Json::array();
  for (const OriginalFile& file : packed.files)
    json["files"].push_back(file_json(file));
  std::string text = json.dump(2);
  text.resize(text.rfind('\n'));  // without the closing brace
  return fmt::format("{}{}{}\"\n}}\n", text, kSealKey, seal_of(text));
}

CompressedFolder read_packed_folder(const fs::path& folder) {
  const fs::path path = folder / kPackedFolderFile;
  std::error_code unreadable;
  if (!fs::exists(path, unreadable)) {
    throw Error(ErrorCode::file_not_found, fmt::format("there is no {}", kPackedFolderFile))
        .at(folder.string())
        .hint("only a folder that `pare compress` made can be decompressed");
  }
  try {
    const std::string text = io::read_text(path);
    check_seal(text);
    return folder_from(io::parse_json(text, path.string()));
  } catch (Error& failure) {
    if (failure.where().empty()) failure.at(path.string());
    throw;
  } catch (const io::Json::exception& failure) {
    throw Error(ErrorCode::corrupt_stream, failure.what()).at(path.string());
  }
}

bool is_packed_folder(const fs::path& folder) noexcept {
  std::error_code unreadable;
  return fs::exists(folder / kPackedFolderFile, unreadable);
}

std::string copy_file(const Context& ctx, const fs::path& from, const fs::path& to, unsigned mode) {
  constexpr std::size_t kPiece = std::size_t{8} << 20;
  const io::MappedFile source(from, io::MappedFile::Pointers::let_pass);
  io::FileWriter target(to);
  io::Sha256 sha;
  for (std::size_t first = 0; first < source.bytes().size(); first += kPiece) {
    ctx.check_cancelled();
    const std::size_t size = std::min(kPiece, source.bytes().size() - first);
    sha.update(source.bytes().subspan(first, size));
    target.write(source.bytes().subspan(first, size));
    source.release(first, size);
  }
  target.finish(mode);
  return sha.hex();
}

}  // namespace pare::pipeline
