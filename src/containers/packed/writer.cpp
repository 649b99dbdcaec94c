#include "containers/packed/writer.h"

#include "containers/in_quotes.h"
#include "containers/packed/manifest.h"
#include "containers/safetensors/header.h"
#include "io/fd.h"
#include "io/hash.h"
#include "io/json.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <future>
#include <memory>
#include <utility>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBatchTiles = 256;
constexpr std::size_t kBatchBytes = static_cast<std::size_t>(kBatchTiles) * codec::kTileBytes;
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 8;
constexpr std::size_t kSealBytes = 8;
constexpr std::size_t kTileEntryBytes = 8;
/// Below this a tensor's own index, info and header entries outweigh what coding could save.
constexpr std::size_t kSmallestCoded = 512;
constexpr std::size_t kHeaderShare = 160;  // bytes that two more header entries take

std::size_t aligned(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

std::string entry_text(const std::string& name, std::string_view dtype,
                       std::span<const std::int64_t> shape, std::size_t begin, std::size_t end) {
  std::string dims;
  for (const std::int64_t dim : shape) {
    dims += fmt::format("{}{}", dims.empty() ? "" : ",", dim);
  }
  return fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                     io::Json(name).dump(), dtype, dims, begin, end);
}

std::string header_start() {
  return fmt::format(R"({{"__metadata__":{{"format":"pt","{}":"{}"}})", kPackedKey,
                     codec::kVersion);
}

/// Index and info of a coded tensor, kept until all payloads are written.
struct Tail {
  std::vector<std::byte> index;
  std::vector<std::byte> info;
};

class Packer {
 public:
  Packer(const Context& ctx, const io::MappedFile& file, const std::vector<TensorRange>& ranges,
         const fs::path& out, const PackOptions& options)
      : ctx_(ctx), file_(file), ranges_(ranges), path_(out), options_(options) {
    for (const TensorRange& range : ranges) {
      if (range.info.name.starts_with("pare.")) {
        throw Error(ErrorCode::feature_not_supported,
                    fmt::format("a tensor is called {}", in_quotes(range.info.name)))
            .at(file.path().string())
            .hint("names that begin with \"pare.\" are those of packed files");
      }
      names_.insert(range.info.name);
    }
    manifest_.file = file.path().filename().string();
    manifest_.size = file.bytes().size();
    data_begin_ = kLengthBytes + header_bound();
    if (data_begin_ > kMaxSafetensorsHeaderBytes) {
      throw Error(ErrorCode::feature_not_supported, "too many tensors for one header")
          .at(file.path().string());
    }
    reached_ = data_begin_;
    fd_ = io::create_file(out);
  }

  PackedResult run() {
    pass_through();
    manifest_.sha256 = sha_.hex();
    write_rest();
    result_.sha256 = manifest_.sha256;
    result_.original_bytes = manifest_.size;
    result_.packed_bytes = reached_;
    io::cut_file(fd_, path_, reached_);  // a tensor that did not pay may have reached further
    io::finish_file(fd_, path_, options_.mode);
    return std::move(result_);
  }

 private:
  struct Entry {
    TensorInfo info;
    std::size_t begin;  // from the start of the file
    std::size_t end;
  };

  /// Largest header there can be: offsets with as many digits as any of them could have.
  std::size_t header_bound() const {
    const std::size_t largest = 2 * manifest_.size + (std::size_t{1} << 20) * (ranges_.size() + 1);
    std::size_t bound = header_start().size() + 1;
    const auto add = [&](const std::string& name, std::string_view dtype,
                         std::span<const std::int64_t> shape) {
      bound += entry_text(name, dtype, shape, largest, largest).size();
    };
    const std::array<std::int64_t, 2> one = {static_cast<std::int64_t>(largest), 2};
    const std::span<const std::int64_t> flat(one.data(), 1);
    for (const TensorRange& range : ranges_) {
      const std::size_t plain_before = bound;
      add(range.info.name, range.info.type_name(), range.info.shape.dims());
      const std::size_t plain = bound - plain_before;
      if (range.end - range.begin < kSmallestCoded) continue;
      bound = plain_before;
      add(range.info.name, "U8", flat);
      add(index_name(range.info.name), "U32", one);
      add(info_name(range.info.name), "U8", flat);
      bound = std::max(bound, plain_before + plain);
    }
    for (const std::string_view name : {kManifestName, kSkeletonName, kSealName}) {
      add(std::string(name), "U8", flat);
    }
    return aligned(bound);
  }

  void pass_through();
  void pass_tensor(const TensorRange& range);
  bool encode(const TensorRange& range, std::span<const std::byte> bytes, bool replaced);
  bool may_be_coded(const TensorInfo& info);
  void hash_beside(std::span<const std::byte> bytes, const std::function<void()>& work);
  void keep_between(std::size_t until);

  void write_rest();
  void copy_uncoded(std::size_t width);
  void copy_range(std::size_t i);
  void write_header(std::span<const std::byte> manifest, std::size_t seal_at);

  void write(std::span<const std::byte> bytes) {
    io::write_at(fd_, path_, bytes, reached_, manifest_.size);
    reached_ += bytes.size();
  }
  void add_entry(TensorInfo info, std::size_t begin) {
    entries_.push_back({std::move(info), begin, reached_});
  }
  void write_bytes_tensor(const std::string& name, std::span<const std::byte> bytes) {
    const std::size_t begin = reached_;
    write(bytes);
    add_entry({name, DType::u8, Shape{static_cast<std::int64_t>(bytes.size())}}, begin);
  }
  void release(const TensorRange& range) const {
    file_.release(range.begin, range.end - range.begin);
  }

  const Context& ctx_;
  const io::MappedFile& file_;
  const std::vector<TensorRange>& ranges_;
  fs::path path_;
  const PackOptions& options_;
  io::Fd fd_;
  std::set<std::string> names_;  // of the file and those its index and info tensors took
  std::size_t data_begin_ = 0;
  std::size_t reached_ = 0;  // bytes of the packed file
  std::size_t passed_ = 0;   // bytes of the original
  io::Sha256 sha_;
  std::vector<std::byte> skeleton_;
  std::vector<Entry> entries_;
  std::vector<Tail> tails_;                                      // of ranges_; empty when not coded
  std::vector<std::optional<std::vector<std::byte>>> replaced_;  // of ranges_, not coded
  PackedManifest manifest_;
  PackedResult result_;
};

/// Hashes on a thread of its own while `work` runs, where there is more than one to use.
void Packer::hash_beside(std::span<const std::byte> bytes, const std::function<void()>& work) {
  if (ctx_.threads() == 1) {
    sha_.update(bytes);
    return work();
  }
  // The future's destructor waits, also when `work` throws.
  const std::future<void> hashed =
      std::async(std::launch::async, [this, bytes] { sha_.update(bytes); });
  work();
}

/// The original's bytes up to `until` that belong to no tensor.
void Packer::keep_between(std::size_t until) {
  if (until <= passed_) return;
  const std::span<const std::byte> bytes = file_.bytes().subspan(passed_, until - passed_);
  sha_.update(bytes);
  skeleton_.insert(skeleton_.end(), bytes.begin(), bytes.end());
  file_.release(passed_, bytes.size());
  passed_ = until;
}

void Packer::pass_through() {
  for (const TensorRange& range : ranges_) {
    keep_between(range.begin);
    tails_.emplace_back();
    replaced_.emplace_back();
    manifest_.ranges.push_back({range.info, range.begin, range.end, false, 0});
    result_.tensors.push_back({range.info, false, range.end - range.begin});
    if (range.begin != range.end) pass_tensor(range);
  }
  keep_between(file_.bytes().size());
}

bool Packer::may_be_coded(const TensorInfo& info) {
  if (info.nbytes() < kSmallestCoded) return false;
  if (options_.leave && options_.leave(info)) return false;
  for (const std::string& name : {index_name(info.name), info_name(info.name)}) {
    if (names_.contains(name)) return false;
    if (options_.taken != nullptr && options_.taken->contains(name)) return false;
  }
  return true;
}

void Packer::pass_tensor(const TensorRange& range) {
  std::span<const std::byte> bytes = file_.bytes().subspan(range.begin, range.end - range.begin);
  std::optional<std::vector<std::byte>> other;
  if (options_.replace) other = options_.replace(range.info, bytes);
  const bool replaced = other.has_value();
  if (replaced) {
    release(range);
    bytes = *other;
  }
  const std::size_t before = reached_;
  passed_ = range.end;
  if (may_be_coded(range.info)) {
    if (encode(range, bytes, replaced)) return;
    reached_ = before;
  } else {
    for (std::size_t first = 0; first < bytes.size(); first += kBatchBytes) {
      ctx_.check_cancelled();
      const std::size_t size = std::min(kBatchBytes, bytes.size() - first);
      sha_.update(bytes.subspan(first, size));
      if (!replaced) file_.release(range.begin + first, size);
    }
  }
  if (replaced) replaced_.back() = std::move(other);
}

/// True when the tensor is written coded. Its bytes have gone through the SHA-256 either way.
bool Packer::encode(const TensorRange& range, std::span<const std::byte> bytes, bool replaced) {
  const codec::Content content =
      options_.content ? options_.content(range.info) : codec::Content::elements;
  CodedForm form = coded_form(range.info);
  const TensorView view{form.dtype, std::move(form.shape), bytes, nullptr};
  codec::TensorEncoder encoder(ctx_, view, options_.tier, content);
  if (!replaced) release(range);
  const std::size_t begin = reached_;
  RawBytes payload;
  for (std::int64_t first = 0; first < encoder.tiles(); first += kBatchTiles) {
    ctx_.check_cancelled();
    const std::int64_t tiles = std::min(kBatchTiles, encoder.tiles() - first);
    const std::size_t offset = static_cast<std::size_t>(first) * codec::kTileBytes;
    const std::size_t size = std::min(kBatchBytes, bytes.size() - offset);
    payload.clear();
    hash_beside(bytes.subspan(offset, size), [&] { encoder.encode(ctx_, tiles, payload); });
    write(payload);
    if (!replaced) file_.release(range.begin + offset, size);
    if (options_.progress) {
      options_.progress(range.info.name, range.begin + offset + size, reached_ - data_begin_);
    }
  }
  if (!encoder.worthwhile()) return false;
  Tail tail;
  for (const codec::TileEntry& tile : encoder.index()) {
    for (const std::uint32_t word : {tile.offset, tile.checksum}) {
      for (unsigned i = 0; i < 4; ++i) {
        tail.index.push_back(static_cast<std::byte>(word >> (8 * i) & 0xFFU));
      }
    }
  }
  tail.info = encoder.info();
  const std::size_t stored = reached_ - begin + tail.index.size() + tail.info.size();
  if (stored + kHeaderShare >= bytes.size()) return false;
  add_entry({range.info.name, DType::u8, Shape{static_cast<std::int64_t>(reached_ - begin)}},
            begin);
  names_.insert(index_name(range.info.name));
  names_.insert(info_name(range.info.name));
  tails_.back() = std::move(tail);
  manifest_.ranges.back().coded = true;
  result_.tensors.back().coded = true;
  result_.tensors.back().stored_bytes = stored;
  return true;
}

/// Everything after the payloads, wide elements first, so that all of them lie aligned.
void Packer::write_rest() {
  write_bytes_tensor(std::string(kSkeletonName), skeleton_);
  const std::size_t manifest_at = reached_;
  const std::size_t manifest_bytes =
      aligned(manifest_at + manifest_text(manifest_).size()) - manifest_at;
  reached_ += manifest_bytes;
  add_entry(
      {std::string(kManifestName), DType::u8, Shape{static_cast<std::int64_t>(manifest_bytes)}},
      manifest_at);
  const std::size_t seal_at = reached_;
  reached_ += kSealBytes;
  add_entry({std::string(kSealName), DType::u8, Shape{static_cast<std::int64_t>(kSealBytes)}},
            seal_at);
  for (const std::size_t width : {8U, 4U, 2U, 1U, 0U})
    copy_uncoded(width);
  std::string manifest = manifest_text(manifest_);
  manifest.append(manifest_bytes - manifest.size(), ' ');
  const std::span<const std::byte> bytes = std::as_bytes(std::span(manifest));
  io::write_at(fd_, path_, bytes, manifest_at, manifest_.size);
  write_header(bytes, seal_at);
}

/// Uncoded tensors of one element size, and the coded ones' index (U32) or info (U8) beside them.
void Packer::copy_uncoded(std::size_t width) {
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    const TensorInfo& info = ranges_[i].info;
    if (!manifest_.ranges[i].coded) {
      if (size_of(info.dtype) == width) copy_range(i);
      continue;
    }
    const Tail& tail = tails_[i];
    if (width == 4) {
      const std::size_t begin = reached_;
      write(tail.index);
      const auto tiles = static_cast<std::int64_t>(tail.index.size() / kTileEntryBytes);
      add_entry({index_name(info.name), DType::u32, Shape{tiles, 2}}, begin);
    }
    if (width == 1) write_bytes_tensor(info_name(info.name), tail.info);
  }
}

void Packer::copy_range(std::size_t i) {
  const TensorRange& range = ranges_[i];
  const std::size_t begin = reached_;
  io::Xxh3 hash;
  std::span<const std::byte> bytes = file_.bytes().subspan(range.begin, range.end - range.begin);
  if (replaced_[i]) bytes = *replaced_[i];
  for (std::size_t first = 0; first < bytes.size(); first += kBatchBytes) {
    ctx_.check_cancelled();
    const std::span<const std::byte> piece =
        bytes.subspan(first, std::min(kBatchBytes, bytes.size() - first));
    hash.update(piece);
    write(piece);
    if (!replaced_[i]) file_.release(range.begin + first, piece.size());
  }
  manifest_.ranges[i].hash = hash.value();
  add_entry(range.info, begin);
}

void Packer::write_header(std::span<const std::byte> manifest, std::size_t seal_at) {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::string json = header_start();
  for (const Entry& entry : entries_) {
    json += entry_text(entry.info.name, entry.info.type_name(), entry.info.shape.dims(),
                       entry.begin - data_begin_, entry.end - data_begin_);
  }
  json += '}';
  const std::size_t length = data_begin_ - kLengthBytes;
  if (json.size() > length) {
    throw Error(ErrorCode::internal, "the packed header outgrew its bound").at(path_.string());
  }
  json.append(length - json.size(), ' ');
  std::string header;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    header += static_cast<char>(length >> (8 * i) & 0xFFU);
  }
  header += json;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(header));
  io::write_at(fd_, path_, bytes, 0, manifest_.size);
  io::Xxh3 seal;
  seal.update(bytes);
  seal.update(manifest);
  seal.update(skeleton_);
  std::array<std::byte, kSealBytes> value{};
  for (std::size_t i = 0; i < kSealBytes; ++i) {
    value[i] = static_cast<std::byte>(seal.value() >> (8 * i) & 0xFFU);
  }
  io::write_at(fd_, path_, value, seal_at, manifest_.size);
}

}  // namespace

PackedResult pack_file(const Context& ctx, const io::MappedFile& file,
                       const std::vector<TensorRange>& ranges, const fs::path& out,
                       const PackOptions& options) {
  return Packer(ctx, file, ranges, out, options).run();
}

}  // namespace pare::containers
