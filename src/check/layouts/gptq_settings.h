// What a GPTQ configuration states for one linear: GPTQModel's "dynamic" may give modules settings
// of their own.
#pragma once

#include "check/folder.h"

#include <string>
#include <string_view>
#include <vector>

namespace pare::check {

/// Values that may hold for the linear: of every entry of "dynamic" whose pattern may match it
/// ("-:" entries skip modules and state nothing), then that of the whole. Empty when none states
/// one.
std::vector<const io::Json*> stated_for(const Folder& folder, const std::string& linear,
                                        std::string_view key, std::string_view other = {});

/// Whether one of them is `value`, or none is stated.
bool may_be_stated(const std::vector<const io::Json*>& stated, const io::Json& value);

}  // namespace pare::check
