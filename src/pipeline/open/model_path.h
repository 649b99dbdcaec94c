// What users point at when they mean a model: its folder, or the one file that is all its weights.
#pragma once

#include <filesystem>
#include <optional>

namespace pare::pipeline {

/// The folder of a weight file (or of an index of shards) that is all the weights of the model
/// there; nullopt for any other file, and for what is no file.
std::optional<std::filesystem::path> folder_of_weights(const std::filesystem::path& file);

/// The folder meant. What does not exist is given back for its reader to refuse.
/// Errors: file_not_found for a file that is no model.
std::filesystem::path model_folder(const std::filesystem::path& given);

}  // namespace pare::pipeline
