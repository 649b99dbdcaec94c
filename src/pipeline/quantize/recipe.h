// Recipes: the job's parameters in a YAML file, with the names of the command line.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "pare/job.h"

namespace pare::pipeline {

/// Adds the recipe's values to `params` where none was given yet (flags win over the recipe).
/// Errors: file_not_found; bad_recipe with line, and a near match for an unknown key.
void read_recipe(const std::filesystem::path& file, ParamMap& params);

/// The parameters `specs` as a recipe that would do the same again.
std::string recipe_text(const ParamMap& params, std::span<const ParamSpec> specs);

}  // namespace pare::pipeline
