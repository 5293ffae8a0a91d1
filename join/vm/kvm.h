// Whether KVM works here. That /dev/kvm exists says little (nested machines, missing rights, kernels without it): a
// one-instruction machine is made and run (https://docs.kernel.org/virt/kvm/api.html).
#pragma once

#include "base/result.h"

namespace lab::join::vm {

// The error says what failed. Takes a few milliseconds; at most about 3 s where KVM hangs.
Result<void> try_kvm();

}  // namespace lab::join::vm
