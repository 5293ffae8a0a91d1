// Who sees a class's end come while no server runs: a small process for each class that has one, until the class goes.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::classroom {

// Starts that process (`lab class keep NAME`), in a session of its own; what it has to say lies beside the class. One
// that finds another at work ends at once. For commands that end themselves soon: nobody here waits for its exit code.
Result<void> start_end_keeper(const std::string& class_name);

// What it does: blocks until the class has gone, or has no end any more; makes its labs stand still whenever an end has
// come, and tries again where that fails. Safe to kill: the next one, or `lab play`, does what is left.
Result<void> keep_end(const std::string& class_name);

}  // namespace lab::classroom
