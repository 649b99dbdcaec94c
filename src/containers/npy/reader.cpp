#include "containers/npy/reader.h"

#include "containers/find_tensor.h"
#include "containers/in_quotes.h"
#include "containers/npy/dict_machine.h"
#include "io/file.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& detail) { throw Error(ErrorCode::bad_npy, detail); }

/// What the header of a 0-d object array says, without its spaces.
constexpr std::string_view kObjectHeader = "{'descr':'|O','fortran_order':False,'shape':(),}";

/// Bytes up to the pickle, the header checked.
std::size_t checked_header_bytes(std::span<const std::byte> file) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic)) fail("not an npy file");
  if (file.size() < 12) fail("the header is cut off");
  const auto byte = [&](std::size_t at) { return std::to_integer<std::size_t>(file[at]); };
  const std::size_t version = byte(6);
  if (version < 1 || version > 3) fail(fmt::format("npy version {}", version));
  const std::size_t begin = version == 1 ? 10 : 12;
  std::size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > file.size() - begin) fail("the header is cut off");
  std::string header(text.substr(begin, length));
  std::erase_if(header, [](char c) { return c == ' ' || c == '\n'; });
  if (header != kObjectHeader) fail("not a saved dictionary (a 0-d object array)");
  return begin + length;
}

bool is_row_major(const NpyDictEntry& entry) {
  std::int64_t step = 1;
  for (std::size_t axis = entry.strides.size(); axis-- > 0;) {
    if (entry.shape[axis] > 1 && entry.strides[axis] != step) return false;
    step *= std::max<std::int64_t>(entry.shape[axis], 1);
  }
  return true;
}

/// A copy in row-major order: counts through all indices, last axis fastest.
Tensor gather(const NpyDictEntry& entry) {
  Tensor out(entry.dtype, entry.shape);
  const std::size_t width = size_of(entry.dtype);
  std::vector<std::int64_t> index(entry.shape.rank(), 0);
  std::int64_t at = entry.offset;
  std::byte* target = out.bytes().data();
  for (std::int64_t left = entry.shape.numel(); left > 0; --left, target += width) {
    std::memcpy(target, entry.data.data() + static_cast<std::size_t>(at) * width, width);
    for (std::size_t axis = index.size(); axis-- > 0;) {
      at += entry.strides[axis];
      if (++index[axis] < entry.shape[axis]) break;
      at -= entry.strides[axis] * entry.shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

class NpyDictSource final : public TensorSource {
 public:
  explicit NpyDictSource(const fs::path& path) : file_(path) {
    try {
      load();
    } catch (Error& error) {
      throw error.at(path.string());
    }
  }

  std::span<const TensorInfo> tensors() const noexcept override { return infos_; }

  const TensorInfo* find(std::string_view name) const noexcept override {
    return find_tensor(infos_, name);
  }

  TensorView read(std::string_view name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) fail_missing(name);
    return {info->dtype, info->shape, data_of(*info)};
  }

  void release(std::string_view name) const noexcept override {
    const TensorInfo* info = find(name);
    if (info == nullptr) return;
    const std::span<const std::byte> data = data_of(*info);
    const std::span<const std::byte> whole = file_.bytes();
    if (std::less<>()(data.data(), whole.data()) ||
        !std::less<>()(data.data(), whole.data() + whole.size()))
      return;
    file_.release(static_cast<std::size_t>(data.data() - whole.data()), data.size());
  }

  std::string file_of(std::string_view name) const override {
    return find(name) == nullptr ? "" : file_.path().filename().string();
  }

  std::vector<fs::path> files() const override { return {file_.path()}; }

 private:
  std::span<const std::byte> data_of(const TensorInfo& info) const noexcept {
    return data_[static_cast<std::size_t>(&info - infos_.data())];
  }

  void load() {
    // Only what stands between the arrays is read, but it brings the pages around it into memory.
    const auto give_back = [this] { file_.release(0, file_.bytes().size()); };
    std::vector<NpyDictEntry> entries =
        read_npy_dict_pickle(file_.bytes().subspan(checked_header_bytes(file_.bytes())), give_back);
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    for (NpyDictEntry& entry : entries) {
      if (!infos_.empty() && infos_.back().name == entry.name)
        fail(fmt::format("key {} twice", in_quotes(entry.name)));
      data_.push_back(row_major(entry));
      infos_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape)});
    }
    give_back();
  }

  /// The bytes in row-major order: where they are, or a copy. Copies together may not exceed the
  /// file, so that many views of one array cannot fill the memory.
  std::span<const std::byte> row_major(const NpyDictEntry& entry) {
    const std::size_t bytes = static_cast<std::size_t>(entry.shape.numel()) * size_of(entry.dtype);
    if (bytes == 0) return {};
    if (is_row_major(entry)) {
      return entry.data.subspan(static_cast<std::size_t>(entry.offset) * size_of(entry.dtype),
                                bytes);
    }
    copied_ += bytes;
    if (copied_ > file_.bytes().size()) fail("more transposed data than the file has bytes");
    return copies_.emplace_back(gather(entry)).view().data;
  }

  [[noreturn]] void fail_missing(std::string_view name) const {
    std::vector<std::string> known;
    for (const TensorInfo& info : infos_)
      known.push_back(info.name);
    Error error(ErrorCode::tensor_missing, fmt::format("\"{}\"", name));
    error.at(file_.path().string());
    const std::string near = closest_match(name, known);
    if (near.empty()) throw error;
    throw std::move(error).hint(fmt::format("did you mean \"{}\"?", near));
  }

  io::MappedFile file_;
  std::vector<TensorInfo> infos_;
  std::vector<std::span<const std::byte>> data_;  // of infos_, same order
  std::vector<Tensor> copies_;                    // their bytes stay where they are when it grows
  std::size_t copied_ = 0;
};

}  // namespace

std::size_t npy_dict_header_bytes(std::span<const std::byte> file) {
  return checked_header_bytes(file);
}

bool npy_dict_exists(const fs::path& path) noexcept {
  std::error_code unreadable;
  return fs::exists(path, unreadable) || fs::exists(packed_npy_name(path), unreadable);
}

fs::path packed_npy_name(const fs::path& path) {
  return path.parent_path() / (path.filename().string() + std::string(kPackedNpyEnding));
}

std::unique_ptr<TensorSource> open_npy_dict(const fs::path& path) {
  std::error_code unreadable;
  const fs::path packed = packed_npy_name(path);
  if (!fs::exists(path, unreadable) && fs::exists(packed, unreadable)) {
    return open_checkpoint(packed);
  }
  return std::make_unique<NpyDictSource>(path);
}

}  // namespace pare::containers
