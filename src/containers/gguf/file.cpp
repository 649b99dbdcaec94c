#include "containers/gguf/file.h"

#include "containers/gguf/cursor.h"
#include "containers/gguf/values.h"
#include "containers/in_quotes.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

namespace pare::containers {
namespace {

constexpr std::array kBlocks = {
    GgufBlock{GgufType::f32, "F32", 1, 4, DType::f32},
    GgufBlock{GgufType::f16, "F16", 1, 2, DType::f16},
    GgufBlock{GgufType::q4_0, "Q4_0", 32, 18, std::nullopt},
    GgufBlock{GgufType::q4_1, "Q4_1", 32, 20, std::nullopt},
    GgufBlock{GgufType::q8_0, "Q8_0", 32, 34, std::nullopt},
    GgufBlock{GgufType::bf16, "BF16", 1, 2, DType::bf16},
};

constexpr std::uint32_t kMaxDims = 4;
constexpr std::int64_t kMaxDim = std::int64_t{1} << 40;

/// A name, the number of dimensions, one of them, the type, the offset.
constexpr std::size_t kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;

void read_magic(GgufCursor& cursor) {
  const auto magic = cursor.take(4, "the magic");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) cursor.fail("not a GGUF file");
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version == kGgufVersion) return;
  const bool swapped = version == 0x03000000U;
  cursor.unsupported(swapped ? "a GGUF file for big-endian machines"
                             : fmt::format("GGUF version {}", version),
                     "Pare reads version 3, little-endian; convert it with llama.cpp's own tools");
}

Shape read_shape(GgufCursor& cursor, const std::string& name) {
  const auto rank = cursor.number<std::uint32_t>("the number of dimensions");
  if (rank == 0 || rank > kMaxDims) {
    cursor.fail(fmt::format("tensor {} has {} dimensions", in_quotes(name), rank));
  }
  std::vector<std::int64_t> dims(rank);
  std::int64_t elements = 1;
  for (std::uint32_t i = 0; i < rank; ++i) {
    const auto dim = cursor.number<std::uint64_t>("a dimension");
    const bool fits = dim > 0 && dim <= static_cast<std::uint64_t>(kMaxDim) &&
                      elements <= std::numeric_limits<std::int64_t>::max() / 8 /
                                      static_cast<std::int64_t>(dim);
    if (!fits) cursor.fail(fmt::format("tensor {} has a dimension of {}", in_quotes(name), dim));
    elements *= static_cast<std::int64_t>(dim);
    dims[rank - 1 - i] = static_cast<std::int64_t>(dim);  // files name the innermost first
  }
  return Shape(std::move(dims));
}

GgufTensor read_tensor(GgufCursor& cursor) {
  GgufTensor tensor;
  tensor.name = cursor.string(kMaxGgufNameBytes, "the name of a tensor");
  if (tensor.name.empty()) cursor.fail("a tensor without a name");
  tensor.shape = read_shape(cursor, tensor.name);
  const auto type = cursor.number<std::uint32_t>("the type of a tensor");
  tensor.block = find_gguf_block(type);
  if (tensor.block == nullptr) {
    cursor.unsupported(fmt::format("tensor {} has type {}", in_quotes(tensor.name), type),
                       "Pare reads F32, F16, BF16, Q4_0, Q4_1 and Q8_0");
  }
  if (tensor.row_elements() % tensor.block->elements != 0) {
    cursor.fail(fmt::format("tensor {} has rows of {}, {} needs multiples of {}",
                            in_quotes(tensor.name), tensor.row_elements(), tensor.block->name,
                            tensor.block->elements));
  }
  tensor.begin = cursor.number<std::uint64_t>("the offset of a tensor");
  tensor.size = static_cast<std::size_t>(tensor.shape.numel() / tensor.block->elements *
                                         tensor.block->bytes);
  return tensor;
}

/// Offsets become absolute; each tensor lies inside the file and apart from the others.
void place_tensors(const GgufCursor& cursor, std::size_t alignment, GgufHeader& header) {
  const std::size_t begin = (cursor.at() + alignment - 1) / alignment * alignment;
  header.data_begin = begin;
  if (!header.tensors.empty() && begin > cursor.file_size()) cursor.fail("the data is missing");
  const std::size_t data = cursor.file_size() - std::min(begin, cursor.file_size());
  for (GgufTensor& tensor : header.tensors) {
    if (tensor.begin % alignment != 0) {
      cursor.fail(fmt::format("tensor {} begins at {}, no multiple of {}", in_quotes(tensor.name),
                              tensor.begin, alignment));
    }
    if (tensor.begin > data || tensor.size > data - tensor.begin) {
      cursor.fail(fmt::format("tensor {} ends beyond the file", in_quotes(tensor.name)));
    }
    tensor.begin += begin;
  }
}

void refuse_overlaps(const GgufCursor& cursor, const GgufHeader& header) {
  std::vector<const GgufTensor*> order;
  std::set<std::string_view> names;
  for (const GgufTensor& tensor : header.tensors) {
    if (!names.insert(tensor.name).second) {
      cursor.fail(fmt::format("tensor {} is there twice", in_quotes(tensor.name)));
    }
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->begin < b->begin; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->begin + order[i - 1]->size <= order[i]->begin) continue;
    cursor.fail(fmt::format("tensors {} and {} overlap", in_quotes(order[i - 1]->name),
                            in_quotes(order[i]->name)));
  }
}

std::size_t alignment_of(const GgufCursor& cursor, const GgufHeader& header) {
  const std::uint64_t stated =
      header.unsigned_value("general.alignment").value_or(kGgufAlignment);
  constexpr std::uint64_t kMost = 65536;
  const bool power = stated >= 8 && stated <= kMost && (stated & (stated - 1)) == 0;
  if (!power) cursor.fail(fmt::format("general.alignment is {}", stated));
  return static_cast<std::size_t>(stated);
}

[[noreturn]] void wrong_type(std::string_view key, std::string_view expected) {
  throw Error(ErrorCode::bad_gguf, fmt::format("{} should be {}", key, expected));
}

}  // namespace

const GgufBlock* find_gguf_block(std::uint32_t type) noexcept {
  const auto found = std::find_if(kBlocks.begin(), kBlocks.end(), [&](const GgufBlock& block) {
    return static_cast<std::uint32_t>(block.type) == type;
  });
  return found == kBlocks.end() ? nullptr : &*found;
}

const GgufBlock& gguf_block(GgufType type) noexcept {
  return *find_gguf_block(static_cast<std::uint32_t>(type));
}

std::optional<std::uint64_t> GgufHeader::unsigned_value(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  if (const auto* natural = std::get_if<std::uint64_t>(&found->second)) return *natural;
  const auto* whole = std::get_if<std::int64_t>(&found->second);
  if (whole == nullptr || *whole < 0) wrong_type(key, "a whole number");
  return static_cast<std::uint64_t>(*whole);
}

std::optional<std::string> GgufHeader::text(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  const auto* text = std::get_if<std::string>(&found->second);
  if (text == nullptr) wrong_type(key, "a text");
  return *text;
}

GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& where) {
  GgufCursor cursor(file, where);
  GgufHeader header;
  read_magic(cursor);
  const auto tensors = cursor.number<std::uint64_t>("the number of tensors");
  const auto values = cursor.number<std::uint64_t>("the number of key-values");
  if (tensors > cursor.left() / kLeastTensorBytes) {
    cursor.fail(fmt::format("{} tensors do not fit into the file", tensors));
  }
  try {
    read_gguf_values(cursor, values, header);
    const std::size_t alignment = alignment_of(cursor, header);
    for (std::uint64_t i = 0; i < tensors; ++i)
      header.tensors.push_back(read_tensor(cursor));
    place_tensors(cursor, alignment, header);
  } catch (Error& error) {
    if (error.where().empty()) error.at(where);
    throw;
  }
  refuse_overlaps(cursor, header);
  return header;
}

}  // namespace pare::containers
