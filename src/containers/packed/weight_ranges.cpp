#include "containers/packed/weight_ranges.h"

#include "containers/in_quotes.h"
#include "containers/npy/dict_machine.h"
#include "containers/npy/reader.h"
#include "containers/safetensors/header.h"
#include "pare/error.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace pare::containers {
namespace {

constexpr std::size_t kMaxNameBytes = 4096;

void sort_by_place(std::vector<TensorRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const TensorRange& a, const TensorRange& b) {
    return std::tie(a.begin, a.end, a.info.name) < std::tie(b.begin, b.end, b.info.name);
  });
}

bool is_row_major(const NpyDictEntry& entry) {
  std::int64_t step = 1;
  for (std::size_t axis = entry.strides.size(); axis-- > 0;) {
    if (entry.shape[axis] > 1 && entry.strides[axis] != step) return false;
    step *= std::max<std::int64_t>(entry.shape[axis], 1);
  }
  return true;
}

bool is_safetensors_name(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "__metadata__" && is_utf8(name) &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// nullopt when the entry's bytes are not one run of the file.
std::optional<TensorRange> range_of(const NpyDictEntry& entry, std::span<const std::byte> file) {
  TensorRange range;
  range.info = {entry.name, entry.dtype, entry.shape};
  const std::size_t bytes = range.info.nbytes();
  if (!is_safetensors_name(entry.name)) return std::nullopt;
  if (bytes == 0) return range;
  if (!is_row_major(entry)) return std::nullopt;
  const std::span<const std::byte> data =
      entry.data.subspan(static_cast<std::size_t>(entry.offset) * size_of(entry.dtype), bytes);
  const std::less<> before;
  if (before(data.data(), file.data()) ||
      before(file.data() + file.size(), data.data() + data.size())) {
    return std::nullopt;
  }
  range.begin = static_cast<std::size_t>(data.data() - file.data());
  range.end = range.begin + bytes;
  return range;
}

/// False when two entries share bytes or a name.
bool are_apart(const std::vector<TensorRange>& ranges) {
  std::set<std::string_view> names;
  std::size_t reached = 0;
  for (const TensorRange& range : ranges) {
    if (range.begin != range.end && range.begin < reached) return false;
    reached = std::max(reached, range.end);
    if (!names.insert(range.info.name).second) return false;
  }
  return true;
}

}  // namespace

std::vector<TensorRange> safetensors_ranges(const io::MappedFile& file) {
  SafetensorsHeader header = parse_safetensors_header(file.bytes(), file.path().string());
  std::vector<TensorRange> ranges;
  ranges.reserve(header.entries.size());
  for (SafetensorsEntry& entry : header.entries) {
    ranges.push_back({std::move(entry.info), entry.begin, entry.end});
  }
  sort_by_place(ranges);
  return ranges;
}

std::optional<std::vector<TensorRange>> npy_dict_ranges(const io::MappedFile& file) {
  std::vector<TensorRange> ranges;
  try {
    const std::span<const std::byte> bytes = file.bytes();
    for (const NpyDictEntry& entry :
         read_npy_dict_pickle(bytes.subspan(npy_dict_header_bytes(bytes)))) {
      std::optional<TensorRange> range = range_of(entry, bytes);
      if (!range) return std::nullopt;
      ranges.push_back(std::move(*range));
    }
  } catch (const Error& failure) {
    if (failure.code() != ErrorCode::bad_npy) throw;
    return std::nullopt;
  }
  sort_by_place(ranges);
  if (!are_apart(ranges)) return std::nullopt;
  return ranges;
}

}  // namespace pare::containers
