// Daemons that are restarted, and watched until it is plain that they live. Blocking.
#pragma once

#include <string>

#include "bootstrap/common/cluster.h"
#include "bootstrap/services/service_manager.h"

namespace lab::bootstrap::upgrade {

// Restarts the unit (or starts one that was stopped), and waits for a process of it that stays for two seconds.
Result<void> restart_and_settle(ServiceManager& services, const std::string& name);
// Whether /readyz says ok to whoever the kubeconfig names.
Result<void> api_ready(const std::string& kubeconfig);

}  // namespace lab::bootstrap::upgrade
