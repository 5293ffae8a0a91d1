// The man page lab(1), made from the command table.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace lab::cli {

// roff text for man(7) macros.
std::string manual_page(const std::vector<Command>& commands, const std::string& version);

}  // namespace lab::cli
