// What bootstrap and join ask of the container runtime, answered through the agent's client of it.
#pragma once

#include "bootstrap/common/runtime.h"

namespace lab::cli {

Result<bootstrap::RuntimeSettings> ask_runtime(const std::string& socket);

}  // namespace lab::cli
