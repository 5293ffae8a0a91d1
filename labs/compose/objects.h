// A compose project as Kubernetes objects. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "labs/compose/model.h"

namespace lab::compose {

inline constexpr const char* kProjectLabel = "com.docker.compose.project";  // docker compose's own label names
inline constexpr const char* kServiceLabel = "com.docker.compose.service";
inline constexpr const char* kVolumeDirectory = "/var/lib/lab-compose";  // in a node: PROJECT/VOLUME below it

struct Cluster {
  std::vector<std::string> nodes, addresses;  // of the lab; published ports answer on every address
};

json::Value namespace_of(const Project& project);
// A Deployment, or a Job where the service is not to be restarted always; its Services: a headless one, by whose name
// the others find it at any port, and one for what it publishes.
std::vector<json::Value> objects_of(const Project& project, const Service& service, const Cluster& cluster);
// The node that has the project's volumes: all services that use one run there.
const std::string& volume_node(const Project& project, const Cluster& cluster);
bool is_job(const Service& service);

}  // namespace lab::compose
