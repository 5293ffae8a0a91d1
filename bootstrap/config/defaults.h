// The configurations that `lab config print` shows: every field that has a default, with that default.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace lab::bootstrap::config {

// What this release's API server says of itself, and what kubeadm's files may ask for.
inline constexpr const char* kKubernetesVersion = "v1.32.3";

std::vector<json::Value> init_defaults();  // InitConfiguration, ClusterConfiguration
std::vector<json::Value> join_defaults();
std::vector<json::Value> reset_defaults();
std::vector<json::Value> upgrade_defaults();
// "KubeletConfiguration" or "KubeProxyConfiguration", as --component-configs names them; Invalid for others.
Result<json::Value> component_defaults(const std::string& kind);

}  // namespace lab::bootstrap::config
