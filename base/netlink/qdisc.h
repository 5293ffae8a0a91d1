// Queueing disciplines of a device in the calling thread's network namespace: the one that programs hang on
// (tc-bpf(8)).
#pragma once

#include "base/result.h"

namespace lab {

// `clsact` on the device; one that is there stays. The kernel stops a device's queues while it is made and drops what
// is sent meanwhile, so this is for a device that nobody uses yet.
Result<void> ensure_clsact(int device);

}  // namespace lab
