// How commands end: errors to standard error with what to do next, and the exit code that goes with them.
#pragma once

#include "base/result.h"

namespace lab::cli {

int report(const Error& error);
inline int finish(const Result<void>& result) { return result ? 0 : report(result.error()); }

}  // namespace lab::cli
