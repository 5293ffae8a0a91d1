// The environment of a container: env, envFrom, the Services' variables, $(VAR) expansion. Pure functions; any thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/agent/pod.h"

namespace lab::agent {

// A ConfigMap or Secret that a pod names.
struct ObjectRef {
  enum Kind { kConfigMap, kSecret } kind = kConfigMap;
  std::string name;
  bool optional = false;
  auto operator<=>(const ObjectRef&) const = default;
};
using FetchedObjects = std::map<std::pair<ObjectRef::Kind, std::string>, ObjectPtr>;  // null: not there
std::vector<ObjectRef> env_references(const json::Value& container);
// The entry `key` of a ConfigMap's data or binaryData, or of a Secret's (decoded).
std::optional<std::string> data_of(ObjectRef::Kind kind, const json::Value& object, std::string_view key);
// All entries.
std::map<std::string, std::string> all_data(ObjectRef::Kind kind, const json::Value& object);

// What is true of the pod on this node, for fieldRef and resourceFieldRef.
struct PodFacts {
  std::string node_name, host_ip, pod_ip;
  std::vector<std::string> host_ips, pod_ips;
  std::int64_t allocatable_cpu_milli = 0, allocatable_memory = 0, allocatable_storage = 0;
};
// "metadata.name", "metadata.labels['app']", "spec.nodeName", "status.podIP"...; BadRequest for unknown paths.
// `whole_maps`: metadata.labels and .annotations as key="value" lines, which volumes may have and variables not.
Result<std::string> field_value(const json::Value& pod, std::string_view path, const PodFacts& facts,
                                bool whole_maps = false);
Result<std::string> resource_value(const json::Value& pod, const json::Value& container, const json::Value& ref,
                                   const PodFacts& facts);

using Variables = std::vector<std::pair<std::string, std::string>>;
// NAME_SERVICE_HOST, NAME_SERVICE_PORT and the docker-link forms, of services that have a cluster address.
Variables service_variables(const std::vector<ObjectPtr>& services);

// $(NAME) by its value, $$ by $, unknown names left as they are.
std::string expand(std::string_view text, const std::function<const std::string*(std::string_view)>& lookup);

// Errors are worded for a container's CreateContainerConfigError: `configmap "x" not found`.
Result<Variables> make_environment(const json::Value& pod, const json::Value& container, const FetchedObjects& objects,
                                   const PodFacts& facts, const Variables& services);

}  // namespace lab::agent
