// Asking before something is destroyed.
#pragma once

#include <string>

namespace lab::cli {

// Asks "QUESTION [y/N]" on a terminal. Elsewhere silence is a no, and it is said which flag answers: "--force".
bool confirmed(const std::string& question, const std::string& flag);

}  // namespace lab::cli
