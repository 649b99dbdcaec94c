// What the tests of the text room share: folders that vanish, small tokenizers, expected errors.
#pragma once

#include "io/json.h"
#include "pare/error.h"
#include "text/json_node.h"
#include "text/tokenizer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pare::text::testing {

/// A folder for one test, removed with all it holds.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pare-text-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(std::string_view name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::filesystem::path source_path(std::string_view relative) {
  return std::filesystem::path(PARE_SOURCE_DIR) / relative;
}

inline std::string read_all(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A component of a tokenizer.json from its JSON text.
template <typename Component>
Component component(std::string_view json) {
  const io::Json value = io::Json::parse(json);
  return Component(JsonNode(value, "test"));
}

/// The error that fn() throws; the test fails when it throws none.
template <typename Function>
Error error_of(const Function& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::internal, "nothing thrown");
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace pare::text::testing
