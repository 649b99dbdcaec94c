#include "containers/safetensors/writer.h"

#include "io/fd.h"
#include "io/file.h"
#include "io/json.h"
#include "pare/error.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeaderAlignment = 8;
constexpr std::size_t kLengthBytes = 8;

[[noreturn]] void fail_internal(const std::string& detail) {
  throw Error(ErrorCode::internal, detail);
}

/// One declared tensor and where its bytes go.
struct Slot {
  TensorInfo info;
  std::size_t size = 0;
  std::size_t file = 0;
  std::size_t offset = 0;                // from the start of the file
  std::atomic<std::size_t> written = 0;  // bytes
};

struct OutputFile {
  std::string name;
  fs::path path;
  io::Fd fd;
  std::size_t size = 0;
};

std::string quoted_json(const std::string& text) {
  try {
    return io::Json(text).dump();
  } catch (const io::Json::exception&) {
    fail_internal("a tensor name that is not UTF-8");
  }
}

/// Wide elements first keeps every tensor aligned to its element.
bool lies_before(const Slot* a, const Slot* b) {
  const std::size_t wa = size_of(a->info.dtype);
  const std::size_t wb = size_of(b->info.dtype);
  return wa != wb ? wa > wb : a->info.name < b->info.name;
}

/// Length field and padded JSON; fills the slots' offsets and returns the whole file's size.
std::string make_header(std::vector<Slot*>& slots, std::size_t& file_size) {
  std::sort(slots.begin(), slots.end(), lies_before);
  std::string json = R"({"__metadata__":{"format":"pt"})";
  std::size_t reached = 0;
  for (Slot* slot : slots) {
    std::string dims;
    for (const std::int64_t dim : slot->info.shape.dims()) {
      dims += fmt::format("{}{}", dims.empty() ? "" : ",", dim);
    }
    slot->offset = reached;
    reached += slot->size;
    json += fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        quoted_json(slot->info.name), slot->info.type_name(), dims, slot->offset,
                        reached);
  }
  json += '}';
  json.append((kHeaderAlignment - json.size() % kHeaderAlignment) % kHeaderAlignment, ' ');
  std::string header;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    header += static_cast<char>(json.size() >> (8 * i) & 0xFFU);
  }
  header += json;
  for (Slot* slot : slots)
    slot->offset += header.size();
  file_size = header.size() + reached;
  return header;
}

/// Fails before hours of work when the disk can be seen to be too small.
void check_free_space(const fs::path& folder, std::size_t needed) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return;
  const auto free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  if (static_cast<double>(needed) <= free) return;
  constexpr double kMiB = 1024.0 * 1024.0;
  throw Error(ErrorCode::output_not_writable,
              fmt::format("the weights need {} bytes ({:.1f} MiB), {:.1f} MiB are free", needed,
                          static_cast<double>(needed) / kMiB, free / kMiB))
      .at(folder.string())
      .hint("free some space or choose another folder");
}

}  // namespace

struct SafetensorsWriter::State {
  SafetensorsLayout layout;
  std::deque<Slot> slots;  // in the order declared; a deque because slots cannot move
  std::unordered_map<std::string_view, Slot*> by_name;
  std::vector<OutputFile> files;

  void declare(const std::vector<TensorInfo>& tensors);
  std::vector<std::vector<Slot*>> divide();
  void create(std::vector<std::vector<Slot*>> shards);
  Slot& slot(const std::string& name);
  void write(Slot& slot, std::size_t offset, std::span<const std::byte> bytes);
  std::string index() const;
};

void SafetensorsWriter::State::declare(const std::vector<TensorInfo>& tensors) {
  for (const TensorInfo& tensor : tensors) {
    if (tensor.name.empty() || tensor.name == "__metadata__") {
      fail_internal(fmt::format("tensor name \"{}\" not allowed", tensor.name));
    }
    Slot& slot = slots.emplace_back();
    slot.info = tensor;
    slot.size = tensor.nbytes();
    if (!by_name.emplace(slot.info.name, &slot).second) {
      fail_internal(fmt::format("tensor \"{}\" declared twice", tensor.name));
    }
  }
}

std::vector<std::vector<Slot*>> SafetensorsWriter::State::divide() {
  std::vector<std::vector<Slot*>> shards(1);
  std::size_t bytes = 0;
  for (Slot& slot : slots) {
    const bool full = layout.max_shard_bytes && bytes + slot.size >= *layout.max_shard_bytes;
    if (full && !shards.back().empty()) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(&slot);
    slot.file = shards.size() - 1;
    bytes += slot.size;
  }
  return shards;
}

void SafetensorsWriter::State::create(std::vector<std::vector<Slot*>> shards) {
  std::vector<std::string> headers;
  std::size_t total = 0;
  for (std::size_t k = 0; k < shards.size(); ++k) {
    OutputFile& file = files.emplace_back();
    file.name = layout.max_shard_bytes ? fmt::format("{}-{:05}-of-{:05}.safetensors",
                                                     layout.base_name, k + 1, shards.size())
                                       : layout.base_name + ".safetensors";
    file.path = layout.folder / file.name;
    headers.push_back(make_header(shards[k], file.size));
    total += file.size;
  }
  check_free_space(layout.folder, total);
  for (std::size_t k = 0; k < files.size(); ++k) {
    files[k].fd = io::create_file(files[k].path);
    io::write_at(files[k].fd, files[k].path, std::as_bytes(std::span(headers[k])), 0, total);
  }
}

Slot& SafetensorsWriter::State::slot(const std::string& name) {
  const auto found = by_name.find(name);
  if (found == by_name.end()) fail_internal(fmt::format("tensor \"{}\" was never declared", name));
  return *found->second;
}

void SafetensorsWriter::State::write(Slot& slot, std::size_t offset,
                                     std::span<const std::byte> bytes) {
  if (offset > slot.size || bytes.size() > slot.size - offset) {
    fail_internal(fmt::format("tensor \"{}\": {} bytes at {} of {}", slot.info.name, bytes.size(),
                              offset, slot.size));
  }
  const OutputFile& file = files[slot.file];
  io::write_at(file.fd, file.path, bytes, slot.offset + offset, file.size);
  slot.written += bytes.size();
}

std::string SafetensorsWriter::State::index() const {
  std::map<std::string_view, std::string_view> file_of;
  std::size_t total = 0;
  for (const Slot& slot : slots) {
    file_of.emplace(slot.info.name, files[slot.file].name);
    total += slot.size;
  }
  // Text by hand: inserting into the ordered JSON object would search it for every name.
  std::string text = fmt::format(
      "{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n"
      "  \"weight_map\": {{",
      total);
  std::string_view separator = "\n";
  for (const auto& [tensor, file] : file_of) {
    text += fmt::format("{}    {}: {}", separator, quoted_json(std::string(tensor)),
                        quoted_json(std::string(file)));
    separator = ",\n";
  }
  return text + "\n  }\n}\n";
}

SafetensorsWriter::SafetensorsWriter(const SafetensorsLayout& layout,
                                     const std::vector<TensorInfo>& tensors)
    : state_(std::make_unique<State>()) {
  state_->layout = layout;
  state_->declare(tensors);
  state_->create(state_->divide());
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::write(const std::string& name, const TensorView& tensor) {
  Slot& slot = state_->slot(name);
  if (tensor.dtype != slot.info.dtype || !(tensor.shape == slot.info.shape) ||
      tensor.data.size() != slot.size) {
    fail_internal(fmt::format("tensor \"{}\" declared as {} {}, given {} {} of {} bytes", name,
                              slot.info.type_name(), slot.info.shape.text(), name_of(tensor.dtype),
                              tensor.shape.text(), tensor.data.size()));
  }
  state_->write(slot, 0, tensor.data);
}

void SafetensorsWriter::write_bytes(const std::string& name, std::size_t offset,
                                    std::span<const std::byte> bytes) {
  state_->write(state_->slot(name), offset, bytes);
}

std::vector<std::string> SafetensorsWriter::finish() {
  for (const Slot& slot : state_->slots) {
    if (slot.written != slot.size) {
      fail_internal(fmt::format("tensor \"{}\": {} of {} bytes written", slot.info.name,
                                slot.written.load(), slot.size));
    }
  }
  std::vector<std::string> names;
  for (OutputFile& file : state_->files) {
    io::finish_file(file.fd, file.path, state_->layout.file_mode);
    names.push_back(file.name);
  }
  if (state_->layout.max_shard_bytes) {
    names.push_back(state_->layout.base_name + ".safetensors.index.json");
    io::write_text(state_->layout.folder / names.back(), state_->index(),
                   state_->layout.index_mode);
  }
  return names;
}

}  // namespace pare::containers
