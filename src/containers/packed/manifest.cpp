#include "containers/packed/manifest.h"

#include "containers/in_quotes.h"
#include "containers/type_name.h"
#include "io/json.h"
#include "pare/codec.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace pare::containers {
namespace {

constexpr std::string_view kWeightEnding = ".weight";
constexpr std::size_t kHashDigits = 16;
constexpr std::size_t kShaDigits = 64;
constexpr std::size_t kMaxManifestBytes = std::size_t{256} << 20;

[[noreturn]] void damaged(const std::string& detail) {
  throw Error(ErrorCode::corrupt_stream, detail);
}

bool has_entry(const SafetensorsHeader& header, std::string_view name) noexcept {
  const auto found = std::lower_bound(
      header.entries.begin(), header.entries.end(), name,
      [](const SafetensorsEntry& entry, std::string_view n) { return entry.info.name < n; });
  return found != header.entries.end() && found->info.name == name;
}

std::string range_text(const PackedRange& range) {
  std::string dims;
  for (const std::int64_t dim : range.info.shape.dims()) {
    dims += fmt::format("{}{}", dims.empty() ? "" : ",", dim);
  }
  return fmt::format(R"([{},{},{},"{}",[{}],{}])", range.begin, range.end - range.begin,
                     io::Json(range.info.name).dump(), range.info.type_name(), dims,
                     range.coded ? "null" : fmt::format("\"{:016x}\"", range.hash));
}

const io::Json& member(const io::Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) damaged(fmt::format("no \"{}\"", key));
  return json[key];
}

std::uint64_t number(const io::Json& json, const char* what) {
  if (!json.is_number_unsigned()) damaged(fmt::format("{} is no whole number", what));
  return json.get<std::uint64_t>();
}

std::string text(const io::Json& json, const char* what) {
  if (!json.is_string()) damaged(fmt::format("{} is no text", what));
  return json.get<std::string>();
}

std::uint64_t hash_from(const std::string& digits) {
  std::uint64_t hash = 0;
  const auto [end, status] =
      std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
  if (digits.size() != kHashDigits || status != std::errc{} ||
      end != digits.data() + digits.size()) {
    damaged("a hash is not 16 hexadecimal digits");
  }
  return hash;
}

Shape shape_from(const io::Json& dims) {
  if (!dims.is_array() || dims.size() > Shape::kMaxRank) damaged("a shape is no list of sizes");
  std::vector<std::int64_t> sizes;
  for (const io::Json& dim : dims) {
    const std::uint64_t size = number(dim, "a size");
    if (!std::in_range<std::int64_t>(size)) damaged("a size is beyond 2^63");
    sizes.push_back(static_cast<std::int64_t>(size));
  }
  return Shape(std::move(sizes));
}

PackedRange range_from(const io::Json& json, std::size_t file_size) {
  constexpr std::size_t kFields = 6;
  if (!json.is_array() || json.size() != kFields) damaged("a range is no list of six");
  PackedRange range;
  range.begin = number(json[0], "an offset");
  const std::size_t length = number(json[1], "a length");
  range.info.name = text(json[2], "a tensor's name");
  std::string type = text(json[3], "a type");
  const std::optional<DType> dtype = dtype_from_name(type);
  range.info.dtype = dtype.value_or(DType::foreign);
  if (!may_be_type_name(type)) damaged("a type has a name that none can have");
  if (!dtype) range.info.foreign = {std::move(type), length};
  range.info.shape = shape_from(json[4]);
  range.coded = json[5].is_null();
  if (!range.coded) range.hash = hash_from(text(json[5], "a hash"));
  if (range.begin > file_size || length > file_size - range.begin ||
      checked_size(range.info) != length) {
    damaged(fmt::format("the range of {} cannot be", in_quotes(range.info.name)));
  }
  range.end = range.begin + length;
  return range;
}

PackedManifest manifest_from(const io::Json& json) {
  const std::uint64_t version = number(member(json, "pare_codec"), "the version");
  if (version != codec::kVersion) {
    throw Error(ErrorCode::feature_not_supported,
                fmt::format("packed with version {} of the codec, this program knows version {}",
                            version, codec::kVersion))
        .hint("use a later pare");
  }
  PackedManifest manifest;
  manifest.file = text(member(json, "file"), "the file's name");
  manifest.size = number(member(json, "size"), "the file's size");
  manifest.sha256 = text(member(json, "sha256"), "the file's SHA-256");
  if (manifest.sha256.size() != kShaDigits) damaged("the file's SHA-256 is not 64 digits");
  const io::Json& ranges = member(json, "ranges");
  if (!ranges.is_array()) damaged("the ranges are no list");
  std::size_t reached = 0;
  for (const io::Json& entry : ranges) {
    PackedRange range = range_from(entry, manifest.size);
    if (range.begin != range.end && range.begin < reached) damaged("two ranges overlap");
    reached = std::max(reached, range.end);
    manifest.ranges.push_back(std::move(range));
  }
  return manifest;
}

}  // namespace

bool is_packed(const SafetensorsHeader& header) noexcept {
  if (has_entry(header, kSealName) && has_entry(header, kManifestName)) return true;
  return header.metadata.find(std::string(kPackedKey)) != header.metadata.end();
}

CodedForm coded_form(const TensorInfo& info) {
  if (codec::has_name_for(info.dtype)) return {info.dtype, info.shape};
  return {DType::u8, Shape{static_cast<std::int64_t>(info.nbytes())}};
}

std::string_view packed_module(std::string_view tensor) noexcept {
  const bool has_ending = tensor.size() > kWeightEnding.size() && tensor.ends_with(kWeightEnding);
  return has_ending ? tensor.substr(0, tensor.size() - kWeightEnding.size()) : tensor;
}

std::string index_name(std::string_view tensor) {
  return fmt::format("{}.index", packed_module(tensor));
}

std::string info_name(std::string_view tensor) {
  return fmt::format("{}.info", packed_module(tensor));
}

std::string manifest_text(const PackedManifest& manifest) {
  std::string text =
      fmt::format(R"({{"pare_codec":{},"file":{},"size":{},"sha256":"{}","ranges":[)",
                  codec::kVersion, io::Json(manifest.file).dump(), manifest.size, manifest.sha256);
  for (const PackedRange& range : manifest.ranges) {
    text += range_text(range);
    text += ',';
  }
  if (text.back() == ',') text.pop_back();
  return text + "]}";
}

PackedManifest parse_manifest(std::string_view text) {
  try {
    return manifest_from(io::parse_json(text, std::string(kManifestName),
                                        {.max_bytes = kMaxManifestBytes, .max_depth = 8}));
  } catch (const Error& failure) {
    if (failure.code() != ErrorCode::bad_json) throw;
    damaged(fmt::format("{} is no JSON: {}", kManifestName, failure.detail()));
  }
}

}  // namespace pare::containers
