// A copy of the embedded store's files, made while nobody has them open: what an upgrade goes back to. Blocking.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::bootstrap::upgrade {

// Copies DATA/state.db and its log to KEPT, whole or not at all. A copy that is there is replaced.
Result<void> copy_store(const std::string& data, const std::string& kept);
// Makes DATA's store what KEPT holds. NotFound when there is no copy. Repeatable, also after it was cut off.
Result<void> restore_store(const std::string& kept, const std::string& data);

}  // namespace lab::bootstrap::upgrade
