// The names file of a class: one student's name a line.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lab::classroom {

// Blank lines, a byte order mark and carriage returns are passed over. Invalid, with the number of each line: a name
// that is there twice, is longer than 80 characters, or holds what is no text (control characters, marks that turn the
// direction of writing, bytes that are no UTF-8).
Result<std::vector<std::string>> parse_names(const std::string& text);

}  // namespace lab::classroom
