#include "codec/stream/stream_info.h"

#include "codec/stream/little_endian.h"
#include "io/hash.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <string>

namespace pare::codec::detail {

namespace {

constexpr std::string_view kMagic = "PARC";
constexpr std::size_t kNameBytes = 8;
constexpr std::size_t kSealBytes = 8;

[[noreturn]] void corrupt(const std::string& what) { throw Error(ErrorCode::corrupt_stream, what); }

// Takes fields off the front of the info.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::span<const std::byte> bytes(std::size_t count) {
    if (count > rest_.size()) corrupt("the description is cut off");
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint64_t number(std::size_t count) { return load(bytes(count)); }
  std::size_t left() const noexcept { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

DType read_dtype(Fields& fields, std::size_t element) {
  std::string_view name = text_of(fields.bytes(kNameBytes));
  const std::size_t end = name.find('\0');
  if (end != std::string_view::npos &&
      name.find_first_not_of('\0', end) != std::string_view::npos) {
    corrupt("the name of the element type is not zero-padded");
  }
  name = name.substr(0, end);
  const auto dtype = dtype_from_name(name);
  if (!dtype || !has_name_for(*dtype))
    corrupt(fmt::format("element type \"{}\" is not known", printable(name)));
  if (size_of(*dtype) != element) corrupt("element type and element size disagree");
  return *dtype;
}

// The shape, when its size in bytes can be counted.
Shape read_shape(Fields& fields, std::size_t element) {
  const std::uint64_t rank = fields.number(1);
  if (rank > Shape::kMaxRank) corrupt(fmt::format("{} dimensions", rank));
  if (fields.number(7) != 0) corrupt("bytes that must be zero are not");
  std::vector<std::int64_t> dims;
  std::uint64_t bytes = element;
  bool empty = false;
  for (std::uint64_t axis = 0; axis < rank; ++axis) {
    const std::uint64_t size = fields.number(8);
    empty = empty || size == 0;
    constexpr std::uint64_t kMost = std::uint64_t{1} << 62U;
    if (size > kMost || (size != 0 && bytes > kMost / size)) corrupt("the shape is too large");
    bytes *= size == 0 ? 1 : size;
    dims.push_back(static_cast<std::int64_t>(size));
  }
  return Shape(std::move(dims));
}

void check_transform(const StreamInfo& info) {
  const std::size_t element = size_of(info.dtype);
  if (info.transform > Transform::floats) corrupt("the transform is not known");
  if (info.transform == Transform::floats && element != 2 && element != 4) {
    corrupt("the float transform is for elements of 2 or 4 bytes");
  }
}

void read_tables(Fields& fields, std::uint64_t count, StreamInfo& info) {
  const auto tiles = static_cast<std::uint64_t>(info.tiles());
  const std::uint64_t per = info.tiles_per_table;
  if (per == 0 || (per & (per - 1)) != 0) corrupt("tiles per table is no power of two");
  if (count != 0 && count != (tiles + per - 1) / per) corrupt("the number of tables is wrong");
  for (std::uint64_t i = 0; i < count; ++i) {
    info.tables.push_back(parse_table(fields.bytes(fields.number(2))));
  }
}

// The seal is over the info before it, then the index.
std::uint64_t seal(std::span<const std::byte> info, std::span<const std::byte> index) {
  io::Xxh3 hash;
  hash.update(info);
  hash.update(index);
  return hash.value();
}

void check_start(Fields& fields) {
  if (text_of(fields.bytes(kMagic.size())) != kMagic) corrupt("no description of a tensor");
  const std::uint64_t version = fields.number(2);
  if (version == kVersion) return;
  throw Error(ErrorCode::feature_not_supported, fmt::format("stream version {}", version))
      .hint(fmt::format("this program reads version {}; a newer one is needed", kVersion));
}

}  // namespace

std::size_t StreamInfo::bytes() const {
  return static_cast<std::size_t>(shape.numel()) * size_of(dtype);
}

std::int64_t StreamInfo::tiles() const {
  return static_cast<std::int64_t>((bytes() + kTileBytes - 1) / kTileBytes);
}

Transform transform_for(DType dtype, Content content) noexcept {
  if (content == Content::packed_nibbles) return Transform::nibbles;
  return is_weight_float(dtype) ? Transform::floats : Transform::bytes;
}

std::size_t symbols_in(Transform transform, std::size_t element, std::size_t bytes) noexcept {
  if (transform == Transform::nibbles) return 2 * bytes;
  return transform == Transform::floats ? bytes / element : bytes;
}

std::size_t low_bytes_in(Transform transform, std::size_t element, std::size_t bytes) noexcept {
  return transform == Transform::floats ? bytes / element * (element - 1) : 0;
}

std::vector<std::byte> write_info(const StreamInfo& info, std::span<const std::byte> index) {
  std::vector<std::byte> out;
  const auto put = [&](std::uint64_t value, std::size_t bytes) { append(out, value, bytes); };
  for (const char c : kMagic)
    put(static_cast<unsigned char>(c), 1);
  put(kVersion, 2);
  put(static_cast<std::uint64_t>(info.transform), 1);
  put(size_of(info.dtype), 1);
  const std::string_view name = name_of(info.dtype);
  for (std::size_t i = 0; i < kNameBytes; ++i) {
    put(i < name.size() ? static_cast<unsigned char>(name[i]) : 0U, 1);
  }
  put(info.shape.rank(), 1);
  put(0, 7);
  for (const std::int64_t size : info.shape.dims())
    put(static_cast<std::uint64_t>(size), 8);
  put(info.payload_bytes, 8);
  put(kTileBytes, 4);
  put(static_cast<std::uint64_t>(info.tiles()), 4);
  put(info.tables.size(), 4);
  put(info.tiles_per_table, 4);
  for (const RansTable& table : info.tables) {
    const auto bytes = stored(table);
    put(bytes.size(), 2);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  put(info.content_hash, 8);
  put(seal(out, index), kSealBytes);
  return out;
}

StreamInfo parse_info(std::span<const std::byte> bytes, std::span<const std::byte> index) {
  Fields fields(bytes);
  check_start(fields);
  if (bytes.size() < kSealBytes ||
      load(bytes.last(kSealBytes)) != seal(bytes.first(bytes.size() - kSealBytes), index)) {
    corrupt("description and index differ from their checksum");
  }
  StreamInfo info;
  info.transform = static_cast<Transform>(fields.number(1));
  const auto element = static_cast<std::size_t>(fields.number(1));
  info.dtype = read_dtype(fields, element);
  info.shape = read_shape(fields, element);
  check_transform(info);
  info.payload_bytes = fields.number(8);
  if (fields.number(4) != kTileBytes) corrupt("tiles have another size");
  if (fields.number(4) != static_cast<std::uint64_t>(info.tiles()) ||
      index.size() / kIndexRow != static_cast<std::uint64_t>(info.tiles()) ||
      index.size() % kIndexRow != 0) {
    corrupt("shape, number of tiles and index disagree");
  }
  const std::uint64_t tables = fields.number(4);
  info.tiles_per_table = static_cast<std::uint32_t>(fields.number(4));
  read_tables(fields, tables, info);
  info.content_hash = fields.number(8);
  if (fields.left() != kSealBytes) corrupt("bytes are left over in the description");
  return info;
}

}  // namespace pare::codec::detail

bool pare::codec::has_name_for(DType dtype) noexcept {
  return size_of(dtype) != 0 && name_of(dtype).size() <= detail::kNameBytes;
}
