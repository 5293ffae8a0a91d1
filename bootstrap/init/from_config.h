// kubeadm's configuration documents as options of init and reset.
#pragma once

#include <string>
#include <vector>

#include "bootstrap/config/file.h"
#include "bootstrap/init/init.h"
#include "bootstrap/init/reset.h"

namespace lab::bootstrap {

// Overwrites what InitConfiguration, ClusterConfiguration and KubeletConfiguration set; the rest stays. What cannot be
// done is Invalid; what has no effect because of another field goes to the file's warnings.
Result<void> apply_config(config::File& file, InitOptions& options);
// ResetConfiguration.
Result<void> apply_config(config::File& file, ResetOptions& options);

// A list of Taint objects as "key=value:Effect".
std::vector<std::string> taints_of(const json::Value& list);

}  // namespace lab::bootstrap
