#include "containers/gguf/writer.h"

#include "pare/error.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

namespace pare::containers {
namespace {

[[noreturn]] void fail_internal(const std::string& detail) {
  throw Error(ErrorCode::internal, detail);
}

std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

template <typename T>
void append(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));  // little-endian, as the machines Pare runs on
  out.append(bytes, sizeof(T));
}

void append_text(std::string& out, std::string_view text) {
  append(out, std::uint64_t{text.size()});
  out += text;
}

void append_tensor(std::string& out, const GgufDeclared& tensor, std::size_t offset) {
  append_text(out, tensor.name);
  append(out, static_cast<std::uint32_t>(tensor.shape.rank()));
  for (std::size_t i = tensor.shape.rank(); i-- > 0;)
    append(out, static_cast<std::uint64_t>(tensor.shape[i]));
  append(out, static_cast<std::uint32_t>(tensor.type));
  append(out, std::uint64_t{offset});
}

}  // namespace

std::size_t GgufDeclared::nbytes() const {
  const GgufBlock& block = gguf_block(type);
  return static_cast<std::size_t>(shape.numel() / block.elements * block.bytes);
}

void GgufMetadata::begin(std::string_view key, GgufValueType type) {
  append_text(bytes_, key);
  append(bytes_, static_cast<std::uint32_t>(type));
  ++count_;
}

void GgufMetadata::begin_array(std::string_view key, GgufValueType type, std::size_t count) {
  begin(key, GgufValueType::array);
  append(bytes_, static_cast<std::uint32_t>(type));
  append(bytes_, std::uint64_t{count});
}

void GgufMetadata::add_u32(std::string_view key, std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<std::uint32_t>::max()) {
    fail_internal(fmt::format("{} is {}, which is no u32", key, value));
  }
  begin(key, GgufValueType::u32);
  append(bytes_, static_cast<std::uint32_t>(value));
}

void GgufMetadata::add_i32(std::string_view key, std::int32_t value) {
  begin(key, GgufValueType::i32);
  append(bytes_, value);
}

void GgufMetadata::add_f32(std::string_view key, float value) {
  begin(key, GgufValueType::f32);
  append(bytes_, value);
}

void GgufMetadata::add_flag(std::string_view key, bool value) {
  begin(key, GgufValueType::boolean);
  append(bytes_, static_cast<std::uint8_t>(value ? 1 : 0));
}

void GgufMetadata::add_text(std::string_view key, std::string_view value) {
  begin(key, GgufValueType::string);
  append_text(bytes_, value);
}

void GgufMetadata::add_texts(std::string_view key, std::span<const std::string> values) {
  begin_array(key, GgufValueType::string, values.size());
  for (const std::string& value : values)
    append_text(bytes_, value);
}

void GgufMetadata::add_f32s(std::string_view key, std::span<const float> values) {
  begin_array(key, GgufValueType::f32, values.size());
  for (const float value : values)
    append(bytes_, value);
}

void GgufMetadata::add_i32s(std::string_view key, std::span<const std::int32_t> values) {
  begin_array(key, GgufValueType::i32, values.size());
  for (const std::int32_t value : values)
    append(bytes_, value);
}

GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata,
                       const std::vector<GgufDeclared>& tensors)
    : path_(path) {
  const std::string header = place(tensors, metadata);
  fd_ = io::create_file(path_);
  io::write_at(fd_, path_, std::as_bytes(std::span(header)), 0, file_bytes_);
  io::cut_file(fd_, path_, file_bytes_);  // gaps between tensors read as zeros
}

std::string GgufWriter::place(const std::vector<GgufDeclared>& tensors,
                              const GgufMetadata& metadata) {
  std::string header = "GGUF";
  append(header, kGgufVersion);
  append(header, std::uint64_t{tensors.size()});
  append(header, metadata.count());
  header += metadata.bytes();
  std::size_t offset = 0;
  for (const GgufDeclared& tensor : tensors) {
    if (tensor.name.empty() || tensor.name.size() > kMaxGgufNameBytes) {
      fail_internal(fmt::format("tensor name \"{}\" not allowed", tensor.name));
    }
    const auto [slot, added] = slots_.try_emplace(tensor.name);
    if (!added) fail_internal(fmt::format("tensor \"{}\" declared twice", tensor.name));
    slot->second.begin = offset;
    slot->second.size = tensor.nbytes();
    append_tensor(header, tensor, offset);
    offset = aligned(offset + tensor.nbytes());
  }
  header.resize(aligned(header.size()), '\0');
  for (auto& [name, slot] : slots_)
    slot.begin += header.size();
  file_bytes_ = header.size() + offset;
  return header;
}

void GgufWriter::write(const std::string& name, std::size_t offset,
                       std::span<const std::byte> bytes) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) fail_internal(fmt::format("tensor \"{}\" was never declared", name));
  Slot& slot = found->second;
  if (offset > slot.size || bytes.size() > slot.size - offset) {
    fail_internal(fmt::format("tensor \"{}\": {} bytes at {} of {}", name, bytes.size(), offset,
                              slot.size));
  }
  io::write_at(fd_, path_, bytes, slot.begin + offset, file_bytes_);
  slot.written += bytes.size();
}

void GgufWriter::finish(unsigned mode) {
  for (const auto& [name, slot] : slots_) {
    if (slot.written == slot.size) continue;
    fail_internal(fmt::format("tensor \"{}\": {} of {} bytes written", name, slot.written.load(),
                              slot.size));
  }
  io::finish_file(fd_, path_, mode);
}

}  // namespace pare::containers
