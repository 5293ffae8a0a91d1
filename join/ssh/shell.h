// Words for a POSIX shell at the other end: what is quoted here arrives as it was, whatever it holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lab::join::ssh {

// In single quotes, unless it is a plain word. NUL cannot be passed and is dropped.
std::string shell_quote(std::string_view word);
std::string shell_words(const std::vector<std::string>& words);
// The command that runs `script` with $1, $2, ... in sh, its errors among its output; through sudo -n when asked.
std::string shell_command(std::string_view script, const std::vector<std::string>& arguments, bool sudo);

}  // namespace lab::join::ssh
