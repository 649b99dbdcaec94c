#include "containers/packed/file.h"

#include "containers/in_quotes.h"
#include "io/hash.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <utility>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSealBytes = 8;
constexpr std::int64_t kTilesAtOnce = 16;  // decoded by one thread before it asks for more
constexpr std::int64_t kBatchTiles = 256;  // 8 MiB of decoded bytes held while rebuilding
constexpr std::size_t kPieceBytes = std::size_t{8} << 20;

[[noreturn]] void damaged(const std::string& detail) {
  throw Error(ErrorCode::corrupt_stream, detail).hint("copy the file again from where it came");
}

/// Where the bytes of one original tensor lie in the packed file.
struct Stored {
  std::span<const std::byte> bytes;  // payload of a coded tensor, else the tensor itself
  std::span<const std::byte> index;
  std::span<const std::byte> info;
};

/// What decoding single rows needs, kept from one to the next.
struct RowReader {
  codec::TensorDecoder decoder;
  codec::Scratch scratch = {};

  std::shared_ptr<const std::byte[]> decode(std::int64_t first_tile, std::int64_t tiles,
                                            std::size_t bytes) {
    auto decoded = std::make_shared_for_overwrite<std::byte[]>(bytes);
    decoder.decode_tiles(first_tile, tiles, {decoded.get(), bytes}, scratch);
    return decoded;
  }
};

/// What readers share of one tensor.
struct Slot {
  std::mutex mutex;
  std::shared_ptr<const std::byte[]> decoded;
  std::optional<RowReader> rows;
  std::atomic<bool> checked = false;  // of tensors that are mapped
};

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  }
  return value;
}

}  // namespace

struct PackedFile::State {
  explicit State(const fs::path& path) : file(path) {}

  io::MappedFile file;
  PackedManifest manifest;
  std::span<const std::byte> skeleton;
  std::vector<Stored> stored;  // of manifest.ranges, same order
  std::vector<std::string> names;
  mutable std::deque<Slot> slots;  // of manifest.ranges; a deque because slots cannot move

  void load();
  void check_seal(const SafetensorsHeader& header) const;
  void place_tensors(const SafetensorsHeader& header);
  const SafetensorsEntry& entry(const SafetensorsHeader& header, const std::string& name,
                                DType dtype, const Shape* shape) const;
  std::span<const std::byte> bytes_of(const SafetensorsEntry& entry) const {
    return file.bytes().subspan(entry.begin, entry.end - entry.begin);
  }
  void release(std::span<const std::byte> bytes) const noexcept {
    if (bytes.empty()) return;
    file.release(static_cast<std::size_t>(bytes.data() - file.bytes().data()), bytes.size());
  }
  codec::TensorDecoder decoder(std::size_t i) const;
  void rebuild_tensor(const Context& ctx, std::size_t i,
                      const std::function<void(std::span<const std::byte>)>& sink) const;
  void rebuild_coded(const Context& ctx, std::size_t i,
                     const std::function<void(std::span<const std::byte>)>& sink) const;
  void rebuild_mapped(const Context& ctx, std::size_t i,
                      const std::function<void(std::span<const std::byte>)>& sink) const;

  /// Runs `fn`; what fails in it is placed at the tensor and the file.
  template <typename Fn>
  auto at_tensor(std::size_t i, const Fn& fn) const {
    try {
      return fn();
    } catch (Error& failure) {
      if (failure.kind() != ErrorKind::bad_format) throw;
      throw failure.at(fmt::format("tensor {}", in_quotes(manifest.ranges[i].info.name)))
          .at(file.path().string());
    }
  }
};

const SafetensorsEntry& PackedFile::State::entry(const SafetensorsHeader& header,
                                                 const std::string& name, DType dtype,
                                                 const Shape* shape) const {
  const auto found = std::lower_bound(
      header.entries.begin(), header.entries.end(), name,
      [](const SafetensorsEntry& e, const std::string& n) { return e.info.name < n; });
  if (found == header.entries.end() || found->info.name != name) {
    damaged(fmt::format("{} is missing", in_quotes(name)));
  }
  if (found->info.dtype != dtype || (shape != nullptr && found->info.shape != *shape)) {
    damaged(fmt::format("{} has another type or shape than the manifest says", in_quotes(name)));
  }
  return *found;
}

void PackedFile::State::check_seal(const SafetensorsHeader& header) const {
  const SafetensorsEntry& seal = entry(header, std::string(kSealName), DType::u8, nullptr);
  if (seal.end - seal.begin != kSealBytes) damaged("the seal has another size");
  io::Xxh3 hash;
  hash.update(file.bytes().first(header.header_bytes));
  hash.update(bytes_of(entry(header, std::string(kManifestName), DType::u8, nullptr)));
  hash.update(bytes_of(entry(header, std::string(kSkeletonName), DType::u8, nullptr)));
  if (hash.value() == little_endian(bytes_of(seal))) return;
  damaged("the header, the manifest or the skeleton is not what its checksum says");
}

void PackedFile::State::load() {
  const SafetensorsHeader header = parse_safetensors_header(file.bytes(), file.path().string());
  if (!is_packed(header)) {
    throw Error(ErrorCode::corrupt_stream, "the file is not packed, or its marks are damaged");
  }
  check_seal(header);
  const std::span<const std::byte> json =
      bytes_of(entry(header, std::string(kManifestName), DType::u8, nullptr));
  manifest = parse_manifest({reinterpret_cast<const char*>(json.data()), json.size()});
  skeleton = bytes_of(entry(header, std::string(kSkeletonName), DType::u8, nullptr));
  place_tensors(header);
}

void PackedFile::State::place_tensors(const SafetensorsHeader& header) {
  std::set<std::string_view> used = {kManifestName, kSkeletonName, kSealName};
  std::size_t in_tensors = 0;
  for (const PackedRange& range : manifest.ranges) {
    const std::string& name = range.info.name;
    in_tensors += range.end - range.begin;
    Stored& place = stored.emplace_back();
    slots.emplace_back();
    const SafetensorsEntry& main = range.coded
                                       ? entry(header, name, DType::u8, nullptr)
                                       : entry(header, name, range.info.dtype, &range.info.shape);
    if (!range.coded && main.info.foreign != range.info.foreign) {
      damaged(fmt::format("{} has another type than the manifest says", in_quotes(name)));
    }
    place.bytes = bytes_of(main);
    bool fresh = used.insert(main.info.name).second;
    if (range.coded) {
      const SafetensorsEntry& index = entry(header, index_name(name), DType::u32, nullptr);
      const SafetensorsEntry& info = entry(header, info_name(name), DType::u8, nullptr);
      place.index = bytes_of(index);
      place.info = bytes_of(info);
      fresh = fresh && used.insert(index.info.name).second && used.insert(info.info.name).second;
    }
    if (!fresh) damaged(fmt::format("{} stands for two tensors", in_quotes(name)));
  }
  if (used.size() != header.entries.size()) damaged("there are tensors of no known use");
  if (in_tensors > manifest.size || skeleton.size() != manifest.size - in_tensors) {
    damaged("skeleton and tensors do not add up to the original's size");
  }
  for (const SafetensorsEntry& e : header.entries) {
    if (!e.info.name.starts_with("pare.")) names.push_back(e.info.name);
  }
}

codec::TensorDecoder PackedFile::State::decoder(std::size_t i) const {
  const PackedRange& range = manifest.ranges[i];
  try {
    codec::TensorDecoder decoder(stored[i].info, stored[i].index, stored[i].bytes);
    const CodedForm form = coded_form(range.info);
    if (decoder.dtype() == form.dtype && decoder.shape() == form.shape &&
        decoder.bytes() == range.end - range.begin) {
      return decoder;
    }
  } catch (const Error& failure) {
    // The manifest, which is sealed, knows the version: another one here is damage.
    if (failure.kind() != ErrorKind::unsupported) throw;
    damaged(failure.detail());
  }
  damaged("the stream is of a tensor of another type or shape");
}

void PackedFile::State::rebuild_coded(
    const Context& ctx, std::size_t i,
    const std::function<void(std::span<const std::byte>)>& sink) const {
  const codec::TensorDecoder tensor = decoder(i);
  std::vector<codec::Scratch> scratch(static_cast<std::size_t>(kBatchTiles / kTilesAtOnce));
  std::vector<std::byte> batch;
  std::size_t released = 0;
  for (std::int64_t first = 0; first < tensor.tiles(); first += kBatchTiles) {
    ctx.check_cancelled();
    const std::int64_t tiles = std::min(kBatchTiles, tensor.tiles() - first);
    std::size_t bytes = 0;
    for (std::int64_t t = first; t < first + tiles; ++t)
      bytes += tensor.tile_bytes(t);
    batch.resize(bytes);
    ctx.parallel_for((tiles + kTilesAtOnce - 1) / kTilesAtOnce, [&](std::int64_t part) {
      const std::int64_t begin = part * kTilesAtOnce;
      const std::int64_t count = std::min(kTilesAtOnce, tiles - begin);
      const std::size_t offset = static_cast<std::size_t>(begin) * codec::kTileBytes;
      std::size_t size = 0;
      for (std::int64_t t = begin; t < begin + count; ++t)
        size += tensor.tile_bytes(first + t);
      tensor.decode_tiles(first + begin, count, std::span(batch).subspan(offset, size),
                          scratch[static_cast<std::size_t>(part)]);
    });
    sink(batch);
    // About as much of the payload as this share of the tiles took; the rest goes at the end.
    const std::size_t reached = stored[i].bytes.size() / static_cast<std::size_t>(tensor.tiles()) *
                                static_cast<std::size_t>(first + tiles);
    release(stored[i].bytes.subspan(released, reached - released));
    released = reached;
  }
  release(stored[i].bytes);
}

void PackedFile::State::rebuild_mapped(
    const Context& ctx, std::size_t i,
    const std::function<void(std::span<const std::byte>)>& sink) const {
  io::Xxh3 hash;
  std::span<const std::byte> rest = stored[i].bytes;
  while (!rest.empty()) {
    ctx.check_cancelled();
    const std::span<const std::byte> piece = rest.first(std::min(kPieceBytes, rest.size()));
    hash.update(piece);
    sink(piece);
    release(piece);
    rest = rest.subspan(piece.size());
  }
  if (hash.value() != manifest.ranges[i].hash) damaged("the bytes are not what was written");
}

void PackedFile::State::rebuild_tensor(
    const Context& ctx, std::size_t i,
    const std::function<void(std::span<const std::byte>)>& sink) const {
  at_tensor(i, [&] {
    if (manifest.ranges[i].coded) return rebuild_coded(ctx, i, sink);
    return rebuild_mapped(ctx, i, sink);
  });
}

PackedFile::PackedFile(const fs::path& path) : state_(std::make_unique<State>(path)) {
  try {
    state_->load();
  } catch (Error& failure) {
    const bool placed = std::find(failure.where().begin(), failure.where().end(), path.string()) !=
                        failure.where().end();
    if (!placed) failure.at(path.string());
    throw;
  }
}

PackedFile::~PackedFile() = default;
PackedFile::PackedFile(PackedFile&&) noexcept = default;

const PackedManifest& PackedFile::manifest() const noexcept { return state_->manifest; }
const fs::path& PackedFile::path() const noexcept { return state_->file.path(); }
std::size_t PackedFile::packed_bytes() const noexcept { return state_->file.bytes().size(); }
const std::vector<std::string>& PackedFile::stored_names() const noexcept { return state_->names; }

TensorView PackedFile::read(std::size_t i) const {
  const PackedRange& range = state_->manifest.ranges[i];
  const Stored& stored = state_->stored[i];
  Slot& slot = state_->slots[i];
  return state_->at_tensor(i, [&]() -> TensorView {
    if (!range.coded) {
      if (!slot.checked && io::xxh3(stored.bytes) != range.hash) {
        damaged("the bytes are not what was written");
      }
      slot.checked = true;
      return {range.info.dtype, range.info.shape, stored.bytes, nullptr};
    }
    const std::lock_guard lock(slot.mutex);
    if (slot.decoded == nullptr) {
      const codec::TensorDecoder decoder = state_->decoder(i);
      auto bytes = std::make_shared_for_overwrite<std::byte[]>(decoder.bytes());
      const Context alone(1);
      decoder.decode(alone, {bytes.get(), decoder.bytes()});
      state_->release(stored.bytes);
      slot.decoded = std::move(bytes);
    }
    return {range.info.dtype,
            range.info.shape,
            {slot.decoded.get(), range.end - range.begin},
            slot.decoded};
  });
}

TensorView PackedFile::read_rows(std::size_t i, std::int64_t first, std::int64_t count) const {
  const PackedRange& range = state_->manifest.ranges[i];
  Slot& slot = state_->slots[i];
  std::unique_lock lock(slot.mutex);
  if (!range.coded || slot.decoded != nullptr) {
    lock.unlock();
    return rows_of(read(i), first, count);
  }
  return state_->at_tensor(i, [&]() -> TensorView {
    const std::size_t row = pare::bytes_of(range.info.dtype, range.info.shape[1]).value_or(0);
    const std::size_t begin = static_cast<std::size_t>(first) * row;
    const std::size_t size = static_cast<std::size_t>(count) * row;
    if (size == 0) return {range.info.dtype, Shape{count, range.info.shape[1]}, {}, nullptr};
    const std::size_t first_tile = begin / codec::kTileBytes;
    const std::size_t end_tile = (begin + size + codec::kTileBytes - 1) / codec::kTileBytes;
    const std::size_t end = std::min(end_tile * codec::kTileBytes, range.end - range.begin);
    const std::size_t skipped = first_tile * codec::kTileBytes;
    if (!slot.rows) slot.rows.emplace(RowReader{state_->decoder(i)});
    const auto bytes =
        slot.rows->decode(static_cast<std::int64_t>(first_tile),
                          static_cast<std::int64_t>(end_tile - first_tile), end - skipped);
    return {range.info.dtype,
            Shape{count, range.info.shape[1]},
            {bytes.get() + (begin - skipped), size},
            bytes};
  });
}

void PackedFile::release(std::size_t i) const noexcept {
  Slot& slot = state_->slots[i];
  state_->release(state_->stored[i].bytes);
  const std::lock_guard lock(slot.mutex);
  slot.decoded = nullptr;
}

void PackedFile::rebuild(const Context& ctx,
                         const std::function<void(std::span<const std::byte>)>& sink) const {
  std::span<const std::byte> between = state_->skeleton;
  std::size_t reached = 0;
  const auto fill = [&](std::size_t until) {
    if (until <= reached) return;
    const std::size_t gap = until - reached;
    sink(between.first(gap));
    between = between.subspan(gap);
    reached = until;
  };
  for (std::size_t i = 0; i < state_->manifest.ranges.size(); ++i) {
    const PackedRange& range = state_->manifest.ranges[i];
    fill(range.begin);
    if (range.begin == range.end) continue;
    state_->rebuild_tensor(ctx, i, sink);
    reached = range.end;
  }
  fill(state_->manifest.size);
}

bool is_packed_file(const fs::path& path) noexcept {
  try {
    const io::MappedFile file(path);
    return is_packed(parse_safetensors_header(file.bytes(), path.string()));
  } catch (...) {
    return false;
  }
}

}  // namespace pare::containers
