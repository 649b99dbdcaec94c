// Writes a GGUF file whose header is known up front, tensor by tensor, in any order.
// Source: docs/formats/gguf.md
#pragma once

#include "containers/gguf/file.h"
#include "io/fd.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pare::containers {

/// The key-values of a header, in the order added.
/// Errors of every member: internal for a key added twice.
class GgufMetadata {
 public:
  void add_u32(std::string_view key, std::int64_t value);  // internal when it does not fit
  void add_i32(std::string_view key, std::int32_t value);
  void add_f32(std::string_view key, float value);
  void add_flag(std::string_view key, bool value);
  void add_text(std::string_view key, std::string_view value);
  void add_texts(std::string_view key, std::span<const std::string> values);
  void add_f32s(std::string_view key, std::span<const float> values);
  void add_i32s(std::string_view key, std::span<const std::int32_t> values);

  std::uint64_t count() const noexcept { return count_; }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  void begin(std::string_view key, GgufValueType type);
  void begin_array(std::string_view key, GgufValueType type, std::size_t count);

  std::string bytes_;
  std::uint64_t count_ = 0;
};

/// A tensor to write. Shape: outermost first.
struct GgufDeclared {
  std::string name;
  GgufType type = GgufType::f32;
  Shape shape;

  std::size_t nbytes() const;
};

/// Threads: write calls for different tensors may run at the same time.
class GgufWriter {
 public:
  /// Creates the file and writes the header.
  /// Errors: output_not_writable; internal for names that are too long or given twice.
  GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata,
             const std::vector<GgufDeclared>& tensors);

  /// Bytes at an offset inside a declared tensor. Errors: internal, output_not_writable.
  void write(const std::string& name, std::size_t offset, std::span<const std::byte> bytes);

  /// Checks that every declared byte was written and sets the permissions.
  /// Errors: internal (a tensor never written), output_not_writable.
  void finish(unsigned mode);

 private:
  struct Slot {
    std::size_t begin = 0;
    std::size_t size = 0;
    std::atomic<std::size_t> written = 0;
  };

  std::string place(const std::vector<GgufDeclared>& tensors, const GgufMetadata& metadata);

  std::filesystem::path path_;
  io::Fd fd_;
  std::unordered_map<std::string, Slot> slots_;
  std::size_t file_bytes_ = 0;
};

}  // namespace pare::containers
