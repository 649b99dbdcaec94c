// A quantized linear as the headers of its tensors show it, whatever the layout.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pare::check {

class Folder;

/// How 4-bit codes lie in an Ascend file; `plain` for every other layout.
enum class Nibbles : std::uint8_t { plain, paired_outputs, paired_inputs };

/// Sizes that headers do not tell are 0.
struct Linear {
  std::string name;
  std::string type;  // of Ascend descriptions: "W8A8"; "" elsewhere
  int bits = 0;
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::int64_t groups = 0;  // scales per row
  Nibbles nibbles = Nibbles::plain;
  std::string scales;                 // full name of the tensor; "" when it is not there
  std::vector<std::string> problems;  // parts that are missing, or of a wrong type or shape

  /// Inputs that share a scale; 0 with one scale per row, or when it cannot be told.
  std::int64_t group_size() const noexcept { return groups > 1 ? in / groups : 0; }
};

/// Every quantized linear of the folder's layout, by name.
std::vector<Linear> find_linears(const Folder& folder);

// The layouts that it is made of; one source file each.
std::vector<Linear> find_awq_linears(const Folder& folder);
std::vector<Linear> find_gptq_linears(const Folder& folder);
std::vector<Linear> find_ct_linears(const Folder& folder);
std::vector<Linear> find_ascend_linears(const Folder& folder);

}  // namespace pare::check
