// v1beta3 to v1beta4: flags become lists, the two timeouts that had fields of their own move to `timeouts`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::bootstrap::config {

// kubeadm documents in v1beta4's form; those of other groups stay as they are. ClusterConfiguration's
// timeoutForControlPlane goes to InitConfiguration, which is made where it is absent.
std::vector<json::Value> migrate(std::vector<json::Value> documents);

// The file's documents as v1beta4 text. Fails as parse_file does.
Result<std::string> migrate_text(std::string_view text, const std::string& name);

// Documents joined by "---", each with its keys in order, as kubeadm prints them.
std::string documents_text(const std::vector<json::Value>& documents);

}  // namespace lab::bootstrap::config
