// What no process of a node with a user namespace of its own may ask of the kernel (seccomp(2)): calls by which it
// could act on the machine or that only widen the surface for attacks, and addresses that no namespace separates
// (AF_VSOCK, which leads to the hypervisor). They fail with EPERM, sockets of AF_VSOCK with EAFNOSUPPORT, calls of
// other architectures with ENOSYS.
#pragma once

#include "base/result.h"

namespace lab::bootstrap {

// Of this process and all that it becomes or makes; cannot be undone. Needs CAP_SYS_ADMIN in its user namespace.
Result<void> guard_process();

}  // namespace lab::bootstrap
