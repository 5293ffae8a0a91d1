// What a plain (unquoted) YAML scalar means.
#pragma once

#include <string_view>

#include "base/json.h"

namespace lab::yaml {

json::Value resolve_plain(std::string_view text);

}  // namespace lab::yaml
