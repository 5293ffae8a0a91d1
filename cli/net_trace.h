// lab net trace: the way of a packet between two pods, told with what the nodes' kernels hold.
#pragma once

#include "cli/command.h"

namespace lab::cli {

int run_trace(const Invocation& in);

}  // namespace lab::cli
