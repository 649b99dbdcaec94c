// The parts of one linear, looked up by the ends of their names; what does not fit is written into
// the linear's problems.
#pragma once

#include "check/folder.h"

#include <initializer_list>
#include <string>
#include <string_view>

namespace pare::check {

class PartReader {
 public:
  PartReader(const Folder& folder, Linear& linear) : folder_(folder), linear_(linear) {}

  const StoredTensor* find(std::string_view suffix) const;
  /// The part when it is there with one of these types and this many dimensions, none of size 0.
  const StoredTensor* need(std::string_view suffix, std::initializer_list<DType> dtypes,
                           std::size_t rank);
  /// The same for a part that may be absent, which is no problem.
  const StoredTensor* optional(std::string_view suffix, std::initializer_list<DType> dtypes,
                               std::size_t rank);
  /// Notes a problem unless the part has this shape.
  void expect_shape(const StoredTensor* part, const Shape& shape);
  void problem(std::string text) { linear_.problems.push_back(std::move(text)); }

 private:
  const StoredTensor* fitting(const StoredTensor& part, std::initializer_list<DType> dtypes,
                              std::size_t rank);

  const Folder& folder_;
  Linear& linear_;
};

/// Modules with a tensor of this ending, by name.
std::vector<std::string> modules_with(const Folder& folder, std::string_view suffix);

/// ceil(count * bits / 32), 0 when it does not fit.
std::int64_t word_count(std::int64_t count, int bits) noexcept;

}  // namespace pare::check
