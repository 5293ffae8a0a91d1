// kubeadm's JoinConfiguration as options of join.
#pragma once

#include "bootstrap/config/file.h"
#include "join/join.h"

namespace lab::join {

// Overwrites what the document sets; the rest stays. What cannot be done is Invalid; what has no effect goes to the
// file's warnings.
Result<void> apply_config(bootstrap::config::File& file, JoinOptions& options);

}  // namespace lab::join
