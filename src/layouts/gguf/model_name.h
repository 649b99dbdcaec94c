// What a model is called in a GGUF file, as llama.cpp's converter finds it.
// Source: docs/formats/gguf.md
#pragma once

#include <filesystem>
#include <string>

namespace pare::layout {

/// `name` or `model_name` at the head of README.md, else `_name_or_path` of config.json where that
/// is no path, else the name of the folder. Names of folders and repositories become titles:
/// "SmolLM2 135M Instruct". "" when there is none of them.
std::string name_of_model(const std::filesystem::path& folder);

}  // namespace pare::layout
