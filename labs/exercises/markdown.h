// Exercise texts on a terminal.
#pragma once

#include <string>

namespace lab::exercises {

// Headings bold, commands indented and coloured, the rest as it is; without colour no escape is written.
std::string for_terminal(const std::string& markdown, bool colour);

}  // namespace lab::exercises
