// Reference vectors that are not part of this repository: a folder given by PARE_SHARED, or
// `shared` beside the checkout. Tests skip, and say so, when it is absent.
#pragma once

#include "io/nlohmann.h"
#include "pare/tensor.h"
#include "support/npz.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace pare::test {

inline std::filesystem::path shared_dir() {
  if (const char* given = std::getenv("PARE_SHARED")) return given;
  return std::filesystem::path(PARE_SOURCE_DIR).parent_path() / "shared";
}

/// The reference vectors: cases of index.json, and the arrays they name.
class Oracle {
 public:
  static bool present() { return std::filesystem::exists(shared_dir() / "oracle/index.json"); }

  Oracle() {
    std::ifstream stream(shared_dir() / "oracle/index.json");
    index_ = nlohmann::json::parse(stream);
  }

  const nlohmann::json& cases() const { return index_.at("cases"); }

  /// An array of a case: "w", "scale", …
  const NpyArray& array(const nlohmann::json& one, const std::string& name) {
    return stored(one.at("file"), one.at("prefix").get<std::string>() + name);
  }

  /// A weight shared by several cases.
  const NpyArray& input(const std::string& name) {
    const nlohmann::json& entry = index_.at("inputs").at(name);
    return stored(entry.at("file"), entry.at("key"));
  }

 private:
  const NpyArray& stored(const std::string& file, const std::string& key) {
    auto found = files_.find(file);
    if (found == files_.end()) {
      found = files_.emplace(file, load_npz((shared_dir() / "oracle" / file).string())).first;
    }
    return found->second.at(key);
  }

  nlohmann::json index_;
  std::map<std::string, std::map<std::string, NpyArray>> files_;
};

/// A float array as a tensor of the same type.
inline Tensor to_tensor(const NpyArray& array) {
  const DType dtype = array.type == "<f2" ? DType::f16 : DType::f32;
  Tensor tensor(dtype, Shape(array.shape));
  std::memcpy(tensor.bytes().data(), array.bytes.data(), array.bytes.size());
  return tensor;
}

/// A float array as f32.
inline std::vector<float> to_floats(const NpyArray& array) {
  return read_floats(to_tensor(array).view());
}

#define PARE_SKIP_WITHOUT_ORACLE()                                                     \
  if (!::pare::test::Oracle::present())                                                \
  GTEST_SKIP() << "no reference vectors under " << ::pare::test::shared_dir().string() \
               << "; set PARE_SHARED to the folder that holds oracle/"

}  // namespace pare::test
