// The files beside the weights of a model: what comes along into another folder, and what does not.
#pragma once

#include "io/json.h"
#include "pare/context.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace pare::pipeline {

struct LeftOut {
  std::string name;        // relative, '/' behind a folder
  std::string because;     // "hidden"
  bool is_missed = false;  // it should have come along, but there is nothing to copy
};

/// Everything in a model folder that is neither its weights nor written anew by every run.
struct Companions {
  std::vector<std::string> copied;  // relative, sorted
  std::vector<LeftOut> left_out;    // sorted by name
};

/// Tokenizer, configurations, code, licences, cards, pictures, …: whatever it is called,
/// sub-folders too, up to 128 MiB a file and 1 GiB together. Left out are weights in other
/// containers, files about how the source was quantized, hidden ones, and links that lead elsewhere
/// (those of a hub's cache, and of well-known names, are followed). `weights` are the files the
/// model was read from.
Companions find_companions(const std::filesystem::path& model,
                           std::span<const std::filesystem::path> weights);

/// Warns of what should have come along.
void warn_of_missed(const Context& ctx, const Companions& companions);

/// For people, a line for what is copied and one for each reason to leave files out.
std::vector<std::string> describe_companions(const Companions& companions);

/// {"copied": [names], "left_out": [{"name", "because"}]}
io::Json companions_json(const Companions& companions);

}  // namespace pare::pipeline
