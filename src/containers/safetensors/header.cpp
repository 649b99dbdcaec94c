#include "containers/safetensors/header.h"

#include "containers/in_quotes.h"
#include "containers/type_name.h"
#include "io/json_events.h"
#include "pare/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace pare::containers {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxNameBytes = 4096;

bool has_control_character(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// Turns the header's JSON into entries without a tree: headers may hold 100,000 tensors.
class HeaderEvents final : public io::JsonEvents {
 public:
  explicit HeaderEvents(SafetensorsHeader& out) : out_(out) {}

  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("a boolean"); }
  bool number_float(number_float_t, const string_t&) override {
    refuse("a number that is not a whole one");
  }
  bool number_integer(number_integer_t) override { refuse("a negative number"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& value) override;
  bool start_object(std::size_t) override;
  bool key(string_t& name) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;

 private:
  enum class Place { outside, root, metadata, tensor, shape, offsets };
  enum Field : unsigned { kNone = 0, kDtype = 1, kShape = 2, kOffsets = 4, kAll = 7 };

  [[noreturn]] void refuse(std::string_view found) const;
  void begin_tensor(string_t& name);
  void take_field(const string_t& name);
  void finish_tensor();

  SafetensorsHeader& out_;
  Place place_ = Place::outside;
  std::string name_;  // the tensor or metadata key being read
  Field field_ = kNone;
  unsigned seen_ = 0;
  bool metadata_seen_ = false;
  std::string dtype_;
  std::vector<std::int64_t> dims_;
  std::vector<std::uint64_t> offsets_;
};

void HeaderEvents::refuse(std::string_view found) const {
  switch (place_) {
    case Place::outside:
      fail(fmt::format("the header must be an object, found {}", found));
    case Place::root:
      fail(fmt::format("tensor {} must be an object, found {}", in_quotes(name_), found));
    case Place::metadata:
      fail(fmt::format("__metadata__ {} must be a string, found {}", in_quotes(name_), found));
    case Place::tensor:
      fail(fmt::format("tensor {}: {} not allowed as a field's value", in_quotes(name_), found));
    case Place::shape:
      fail(fmt::format("tensor {}: shape holds {}", in_quotes(name_), found));
    case Place::offsets:
      break;
  }
  fail(fmt::format("tensor {}: data_offsets holds {}", in_quotes(name_), found));
}

bool HeaderEvents::number_unsigned(number_unsigned_t value) {
  if (place_ == Place::shape) {
    if (dims_.size() == Shape::kMaxRank) {
      fail(fmt::format("tensor {}: more than {} dimensions", in_quotes(name_), Shape::kMaxRank));
    }
    if (!std::in_range<std::int64_t>(value)) refuse("a size beyond 2^63");
    dims_.push_back(static_cast<std::int64_t>(value));
    return true;
  }
  if (place_ != Place::offsets) refuse("a number");
  if (offsets_.size() == 2) fail(fmt::format("tensor {}: more than two offsets", in_quotes(name_)));
  offsets_.push_back(value);
  return true;
}

bool HeaderEvents::string(string_t& value) {
  if (place_ == Place::metadata) {
    if (!out_.metadata.emplace(name_, std::move(value)).second) {
      fail(fmt::format("__metadata__ has {} twice", in_quotes(name_)));
    }
    return true;
  }
  if (place_ != Place::tensor || field_ != kDtype) refuse("a string");
  dtype_ = std::move(value);
  return true;
}

bool HeaderEvents::start_object(std::size_t) {
  if (place_ == Place::outside) {
    place_ = Place::root;
  } else if (place_ == Place::root) {
    place_ = name_ == "__metadata__" ? Place::metadata : Place::tensor;
  } else {
    refuse("an object");
  }
  return true;
}

bool HeaderEvents::key(string_t& name) {
  if (place_ == Place::tensor) {
    take_field(name);
  } else if (place_ == Place::root) {
    begin_tensor(name);
  } else {
    name_ = std::move(name);
  }
  return true;
}

void HeaderEvents::begin_tensor(string_t& name) {
  if (name.empty()) fail("a tensor without a name");
  if (name.size() > kMaxNameBytes) fail(fmt::format("a name of {} bytes", name.size()));
  if (has_control_character(name)) fail("a tensor name with control characters");
  if (name == "__metadata__" && std::exchange(metadata_seen_, true)) fail("__metadata__ twice");
  name_ = std::move(name);
  field_ = kNone;
  seen_ = 0;
  dims_.clear();
  offsets_.clear();
}

void HeaderEvents::take_field(const string_t& name) {
  field_ = name == "dtype"          ? kDtype
           : name == "shape"        ? kShape
           : name == "data_offsets" ? kOffsets
                                    : kNone;
  if (field_ == kNone)
    fail(fmt::format("tensor {}: unknown field {}", in_quotes(name_), in_quotes(name)));
  if ((seen_ & field_) != 0) fail(fmt::format("tensor {}: {} twice", in_quotes(name_), name));
  seen_ |= field_;
}

bool HeaderEvents::end_object() {
  if (place_ == Place::tensor) finish_tensor();
  place_ = place_ == Place::root ? Place::outside : Place::root;
  return true;
}

void HeaderEvents::finish_tensor() {
  if (seen_ != kAll)
    fail(fmt::format("tensor {}: dtype, shape and data_offsets needed", in_quotes(name_)));
  if (offsets_.size() != 2) fail(fmt::format("tensor {}: two offsets needed", in_quotes(name_)));
  if (!may_be_type_name(dtype_)) {
    throw Error(ErrorCode::unknown_dtype, in_quotes(dtype_)).at("tensor " + in_quotes(name_));
  }
  if (out_.entries.size() == kMaxSafetensorsTensors) {
    fail(fmt::format("more than {} tensors", kMaxSafetensorsTensors));
  }
  SafetensorsEntry& entry = out_.entries.emplace_back();
  entry.begin = offsets_[0];
  entry.end = offsets_[1];
  entry.info = {std::move(name_), DType::foreign, Shape(dims_)};
  if (const std::optional<DType> dtype = dtype_from_name(dtype_)) {
    entry.info.dtype = *dtype;
  } else {
    entry.info.foreign = {std::move(dtype_), entry.end < entry.begin ? 0 : entry.end - entry.begin};
  }
}

bool HeaderEvents::start_array(std::size_t) {
  if (place_ != Place::tensor || (field_ != kShape && field_ != kOffsets)) refuse("a list");
  place_ = field_ == kShape ? Place::shape : Place::offsets;
  return true;
}

bool HeaderEvents::end_array() {
  place_ = Place::tensor;
  return true;
}

[[noreturn]] void damaged(const std::string& detail) {
  throw Error(ErrorCode::bad_safetensors, detail);
}

/// The length field, checked against the file before anything depends on it.
std::size_t checked_header_length(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (file.size() < kLengthBytes) damaged(fmt::format("only {} bytes", file.size()));
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) {
    length = length << 8 | std::to_integer<std::uint64_t>(file[i]);
  }
  if (length > kMaxSafetensorsHeaderBytes) {
    damaged(fmt::format("header of {} bytes; the format allows {}", length,
                        kMaxSafetensorsHeaderBytes));
  }
  if (length > file.size() - kLengthBytes) {
    throw Error(ErrorCode::bad_safetensors,
                fmt::format("header of {} bytes in a file of {}", length, file.size()))
        .hint("the file is cut off: fetch it again");
  }
  if (length == 0 || text[kLengthBytes] != '{') damaged("the header does not start with {");
  return static_cast<std::size_t>(length);
}

void check_sizes(const std::vector<SafetensorsEntry>& entries) {
  for (const SafetensorsEntry& entry : entries) {
    const std::optional<std::size_t> bytes = checked_size(entry.info);
    if (!bytes) {
      damaged(fmt::format("tensor {}: {} {} overflows, or ends within a byte",
                          in_quotes(entry.info.name), entry.info.type_name(),
                          entry.info.shape.text()));
    }
    // Checked in this order so that begin + bytes cannot wrap.
    if (entry.end < entry.begin || entry.end - entry.begin != *bytes) {
      damaged(fmt::format("tensor {}: {} {} takes {} bytes, offsets say {}..{}",
                          in_quotes(entry.info.name), entry.info.type_name(),
                          entry.info.shape.text(), *bytes, entry.begin, entry.end));
    }
  }
}

/// No gap, no overlap, nothing after the last tensor.
void check_tiling(const std::vector<SafetensorsEntry>& entries, std::size_t data_bytes) {
  std::vector<const SafetensorsEntry*> by_place;
  by_place.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries)
    by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::size_t reached = 0;
  for (const SafetensorsEntry* entry : by_place) {
    if (entry->begin != reached) {
      damaged(fmt::format("tensor {} begins at {}, the one before ends at {}: {}",
                          in_quotes(entry->info.name), entry->begin, reached,
                          entry->begin > reached ? "a gap" : "they overlap"));
    }
    reached = entry->end;
  }
  if (reached > data_bytes) {
    throw Error(ErrorCode::bad_safetensors,
                fmt::format("{} bytes of tensors named, {} in the file", reached, data_bytes))
        .hint("the file is cut off: fetch it again");
  }
  if (reached < data_bytes) {
    damaged(fmt::format("{} bytes after the last tensor", data_bytes - reached));
  }
}

void sort_by_name(std::vector<SafetensorsEntry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.info.name < b.info.name; });
  const auto twin =
      std::adjacent_find(entries.begin(), entries.end(),
                         [](const auto& a, const auto& b) { return a.info.name == b.info.name; });
  if (twin != entries.end()) damaged(fmt::format("tensor {} twice", in_quotes(twin->info.name)));
}

SafetensorsHeader parse(std::span<const std::byte> file) {
  SafetensorsHeader header;
  const std::size_t length = checked_header_length(file);
  header.header_bytes = kLengthBytes + length;
  const std::string_view json(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  HeaderEvents events(header);
  io::parse_json_events(json, "header", length, events);
  sort_by_name(header.entries);
  check_sizes(header.entries);
  check_tiling(header.entries, file.size() - header.header_bytes);
  for (SafetensorsEntry& entry : header.entries) {
    entry.begin += header.header_bytes;
    entry.end += header.header_bytes;
  }
  return header;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& where) {
  try {
    return parse(file);
  } catch (Error& error) {
    if (error.code() != ErrorCode::bad_json) throw error.at(where);
    Error damage(ErrorCode::bad_safetensors, error.detail());
    for (const std::string& place : error.where())
      damage.at(place);
    throw damage.at(where);
  }
}

}  // namespace pare::containers
