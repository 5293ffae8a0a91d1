// What commands on a master share: its own credentials, and daemons that are restarted and waited for.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "bootstrap/common/cluster.h"
#include "bootstrap/services/service_manager.h"

namespace lab::cli {

// super-admin.conf, or admin.conf on masters that joined, which have none.
std::string own_admin_kubeconfig();

// Restarts the unit and waits for a process of its own; false where there is no such unit.
Result<bool> restart_and_see(bootstrap::ServiceManager& services, const std::string& name);
// /readyz, asked with the kubeconfig as it is on disk at each try.
Result<void> wait_api_ready(bootstrap::ServiceManager& services, const std::string& kubeconfig,
                            std::chrono::seconds limit = std::chrono::seconds(60));

}  // namespace lab::cli
