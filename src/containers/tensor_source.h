// A checkpoint as a set of named tensors with lazy bytes, whatever the container.
#pragma once

#include "pare/tensor.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::containers {

/// What a file says of a tensor whose type Pare has no name for.
struct ForeignType {
  std::string name;
  std::size_t bytes = 0;  // that the tensor takes

  friend bool operator==(const ForeignType&, const ForeignType&) = default;
};

struct TensorInfo {
  std::string name;
  DType dtype = DType::u8;
  Shape shape;
  std::optional<ForeignType> foreign = std::nullopt;  // set when dtype is DType::foreign

  std::size_t nbytes() const {
    return foreign ? foreign->bytes : bytes_of(dtype, shape.numel()).value_or(0);
  }
  /// As the file spells it: "BF16".
  std::string_view type_name() const noexcept { return foreign ? foreign->name : name_of(dtype); }
};

/// The bytes that a shape and a type from an untrusted file come to; nullopt when they overflow,
/// end within a byte, or (of a foreign type) are too few for that many elements.
std::optional<std::size_t> checked_size(const TensorInfo& info) noexcept;

/// Names and shapes are known after opening; bytes are mapped, never loaded whole.
/// Threads: const members may be called from several threads at once.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  /// All tensors, sorted by name.
  virtual std::span<const TensorInfo> tensors() const noexcept = 0;

  /// nullptr when there is no such tensor.
  virtual const TensorInfo* find(std::string_view name) const noexcept = 0;

  /// The tensor's bytes, valid as long as the source; decoded ones (with an owner) as long as the
  /// view or until `release`. Errors: tensor_missing (with a near match).
  virtual TensorView read(std::string_view name) const = 0;

  /// Rows [first, first + count) of a matrix, for readers that need a few of them: a source that
  /// would have to decode all of it decodes only those. Errors: as `read`. They must lie inside.
  virtual TensorView read_rows(std::string_view name, std::int64_t first,
                               std::int64_t count) const {
    return rows_of(read(name), first, count);
  }

  /// Gives back the memory of the tensor's pages; a later read maps them again.
  virtual void release(std::string_view name) const noexcept = 0;

  /// Brings the tensor's bytes into memory in one go, for a reader about to go through all of them;
  /// they stay until `release`. A hint: a source may do nothing.
  virtual void populate(std::string_view /*name*/) const noexcept {}

  /// Where a tensor lies, for messages: "model-00001-of-00002.safetensors".
  virtual std::string file_of(std::string_view name) const = 0;

  /// Every weight file that was opened.
  virtual std::vector<std::filesystem::path> files() const = 0;
};

/// A checkpoint container Pare can read. Listed in readers.def.
struct Reader {
  std::string_view id;
  std::string_view summary;
  /// Whether the path looks like this container; looks at names and first bytes only.
  bool (*probe)(const std::filesystem::path& path) noexcept;
  /// Errors: those of the container, always with the file's name.
  std::unique_ptr<TensorSource> (*open)(const std::filesystem::path& path);
};

std::span<const Reader* const> readers() noexcept;

/// Opens a file or folder with the first reader whose probe accepts it.
/// Errors: file_not_found (also: a folder without weights), feature_not_supported (weights in a
/// container none of the readers knows); bad_safetensors and others from the reader.
std::unique_ptr<TensorSource> open_checkpoint(const std::filesystem::path& path);

}  // namespace pare::containers
