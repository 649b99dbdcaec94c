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

constexpr GgufBlock decoded(GgufType type, std::string_view name, std::int64_t elements,
                            std::int64_t bytes, std::optional<DType> dtype = std::nullopt) {
  return {type, name, elements, bytes, dtype, true};
}

/// Of a type that Pare does not decode, by its number.
constexpr GgufBlock sized(std::uint32_t type, std::string_view name, std::int64_t elements,
                          std::int64_t bytes) {
  return {GgufType{type}, name, elements, bytes};
}

/// Source: ggml, ggml.h and ggml-common.h; the numbers that are missing were given up.
constexpr std::array kBlocks = {
    decoded(GgufType::f32, "F32", 1, 4, DType::f32),
    decoded(GgufType::f16, "F16", 1, 2, DType::f16),
    decoded(GgufType::q4_0, "Q4_0", 32, 18),
    decoded(GgufType::q4_1, "Q4_1", 32, 20),
    sized(6, "Q5_0", 32, 22),
    sized(7, "Q5_1", 32, 24),
    decoded(GgufType::q8_0, "Q8_0", 32, 34),
    sized(10, "Q2_K", 256, 84),
    sized(11, "Q3_K", 256, 110),
    sized(12, "Q4_K", 256, 144),
    sized(13, "Q5_K", 256, 176),
    sized(14, "Q6_K", 256, 210),
    sized(16, "IQ2_XXS", 256, 66),
    sized(17, "IQ2_XS", 256, 74),
    sized(18, "IQ3_XXS", 256, 98),
    sized(19, "IQ1_S", 256, 50),
    sized(20, "IQ4_NL", 32, 18),
    sized(21, "IQ3_S", 256, 110),
    sized(22, "IQ2_S", 256, 82),
    sized(23, "IQ4_XS", 256, 136),
    sized(24, "I8", 1, 1),
    sized(25, "I16", 1, 2),
    sized(26, "I32", 1, 4),
    sized(27, "I64", 1, 8),
    sized(28, "F64", 1, 8),
    sized(29, "IQ1_M", 256, 56),
    decoded(GgufType::bf16, "BF16", 1, 2, DType::bf16),
    sized(34, "TQ1_0", 256, 54),
    sized(35, "TQ2_0", 256, 66),
    sized(39, "MXFP4", 32, 17),
    sized(40, "NVFP4", 64, 36),
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
  cursor.unsupported(
      swapped ? "a GGUF file for big-endian machines" : fmt::format("GGUF version {}", version),
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
    const bool fits =
        dim > 0 && dim <= static_cast<std::uint64_t>(kMaxDim) &&
        elements <= std::numeric_limits<std::int64_t>::max() / 8 / static_cast<std::int64_t>(dim);
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
                       "Pare knows the types of ggml up to NVFP4, number 40");
  }
  if (tensor.row_elements() % tensor.block->elements != 0) {
    cursor.fail(fmt::format("tensor {} has rows of {}, {} needs multiples of {}",
                            in_quotes(tensor.name), tensor.row_elements(), tensor.block->name,
                            tensor.block->elements));
  }
  tensor.begin = cursor.number<std::uint64_t>("the offset of a tensor");
  tensor.size =
      static_cast<std::size_t>(tensor.shape.numel() / tensor.block->elements * tensor.block->bytes);
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
  const std::uint64_t stated = header.unsigned_value("general.alignment").value_or(kGgufAlignment);
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
