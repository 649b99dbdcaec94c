// What lies in a checkpoint folder, as far as it can be read. Rules ask it; nothing in here throws
// for what the files say, so that all problems of a folder can be reported in one run.
#pragma once

#include "check/linear.h"
#include "check/weights.h"
#include "io/json.h"
#include "model/graph.h"

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pare::check {

struct JsonFile {
  bool exists = false;
  std::string problem;  // why it cannot be read; "" when it can
  io::Json json = io::Json::object();
};

class Folder {
 public:
  /// Errors: file_not_found when there is no such folder, file_io when it cannot be listed.
  explicit Folder(std::filesystem::path path);
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::set<std::string>& files() const noexcept { return files_; }
  bool has(std::string_view file) const;
  /// A JSON file of the folder, read once.
  const JsonFile& json(const std::string& file) const;

  /// config.json, {} when it is absent or not readable.
  const io::Json& config() const { return json("config.json").json; }
  /// What says how the folder is quantized, {} when nothing does; and the file it stands in.
  const io::Json& quantization() const noexcept { return quantization_; }
  const std::string& quantization_file() const noexcept { return quantization_file_; }
  /// "awq", "gptq", …: as stated, in lower case.
  std::string quant_method() const;

  /// Files named quant_model_description*.json.
  const std::vector<std::string>& descriptions() const noexcept { return descriptions_; }
  /// The first of them, {} when there is none.
  const io::Json& description() const;

  const Weights& weights() const noexcept { return weights_; }
  TensorView view(const StoredTensor& tensor) const;
  void release(const StoredTensor& tensor) const noexcept;

  /// One of the ids in layouts.h.
  std::string_view layout() const noexcept { return layout_; }
  /// Of layouts without rules: what the weights seem to be; "" of all others.
  const std::string& recognised() const noexcept { return recognised_; }
  const std::vector<Linear>& linears() const noexcept { return linears_; }
  const Linear* linear(std::string_view name) const;
  /// Modules with a float matrix that engines run as a linear, heads among them.
  const std::vector<std::string>& float_linears() const noexcept { return float_linears_; }
  /// The model as config.json describes it; nullopt when Pare does not know the architecture.
  const std::optional<model::ModelGraph>& graph() const noexcept { return graph_; }
  /// Why there is no graph; "" when there is one.
  const std::string& graph_problem() const noexcept { return graph_problem_; }

 private:
  void list_files();
  void find_quantization();
  void read_graph();

  std::filesystem::path path_;
  std::set<std::string> files_;
  mutable std::map<std::string, JsonFile> json_;
  io::Json quantization_ = io::Json::object();
  std::string quantization_file_;
  std::vector<std::string> descriptions_;
  Weights weights_;
  std::string_view layout_;
  std::string recognised_;
  std::vector<Linear> linears_;
  std::vector<std::string> float_linears_;
  std::optional<model::ModelGraph> graph_;
  std::string graph_problem_;
};

}  // namespace pare::check
