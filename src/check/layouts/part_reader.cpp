#include "check/layouts/part_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pare::check {
namespace {

std::string text_of(std::initializer_list<DType> dtypes) {
  std::vector<std::string_view> names;
  for (const DType dtype : dtypes)
    names.push_back(name_of(dtype));
  return fmt::format("{}", fmt::join(names, " or "));
}

bool has_empty_side(const Shape& shape) {
  return std::any_of(shape.dims().begin(), shape.dims().end(), [](auto dim) { return dim == 0; });
}

}  // namespace

const StoredTensor* PartReader::find(std::string_view suffix) const {
  return folder_.weights().find(std::string(linear_.name).append(suffix));
}

const StoredTensor* PartReader::fitting(const StoredTensor& part,
                                        std::initializer_list<DType> dtypes, std::size_t rank) {
  const bool typed = std::find(dtypes.begin(), dtypes.end(), part.info.dtype) != dtypes.end();
  if (typed && part.info.shape.rank() == rank && !has_empty_side(part.info.shape)) return &part;
  problem(fmt::format("{} is {} {}; it must be {} with {} dimension{}", part.info.name,
                      part.info.type_name(), part.info.shape.text(), text_of(dtypes), rank,
                      rank == 1 ? "" : "s"));
  return nullptr;
}

const StoredTensor* PartReader::need(std::string_view suffix, std::initializer_list<DType> dtypes,
                                     std::size_t rank) {
  const StoredTensor* part = find(suffix);
  if (part != nullptr) return fitting(*part, dtypes, rank);
  problem(fmt::format("{}{} is missing", linear_.name, suffix));
  return nullptr;
}

const StoredTensor* PartReader::optional(std::string_view suffix,
                                         std::initializer_list<DType> dtypes, std::size_t rank) {
  const StoredTensor* part = find(suffix);
  return part == nullptr ? nullptr : fitting(*part, dtypes, rank);
}

void PartReader::expect_shape(const StoredTensor* part, const Shape& shape) {
  if (part == nullptr || part->info.shape == shape) return;
  problem(fmt::format("{} is {}; the other parts make it {}", part->info.name,
                      part->info.shape.text(), shape.text()));
}

std::vector<std::string> modules_with(const Folder& folder, std::string_view suffix) {
  std::vector<std::string> modules;
  for (const auto& [name, tensor] : folder.weights().tensors) {
    if (name.ends_with(suffix)) modules.push_back(name.substr(0, name.size() - suffix.size()));
  }
  return modules;
}

std::int64_t word_count(std::int64_t count, int bits) noexcept {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  if (count <= 0 || count > kMost || bits <= 0 || bits > 32) return 0;
  return (count * bits + 31) / 32;
}

}  // namespace pare::check
