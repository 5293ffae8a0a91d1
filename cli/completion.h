// Completion scripts for shells, made from the command table. They hold the table as text and never run lab.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"

namespace lab::cli {

// shell: "bash", "zsh" or "fish"; Invalid names these three. Hidden commands are left out.
Result<std::string> completion_script(const std::string& shell, const std::vector<Command>& commands);

}  // namespace lab::cli
