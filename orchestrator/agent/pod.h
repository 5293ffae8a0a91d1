// Reading pods: the few questions that every part of the agent asks of a Pod object. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/client/informer.h"

namespace lab::agent {

using client::ObjectPtr;

// Annotations that tell where a pod comes from, and labels and annotations under which the runtime keeps what the
// agent must find again after a restart (the kubelet's own names, so that other tools understand them).
inline constexpr std::string_view kMirrorAnnotation = "kubernetes.io/config.mirror";
inline constexpr std::string_view kSourceAnnotation = "kubernetes.io/config.source";
inline constexpr std::string_view kHashAnnotation = "kubernetes.io/config.hash";
inline constexpr std::string_view kSeenAnnotation = "kubernetes.io/config.seen";
inline constexpr const char* kPodNameLabel = "io.kubernetes.pod.name";
inline constexpr const char* kPodNamespaceLabel = "io.kubernetes.pod.namespace";
inline constexpr const char* kPodUidLabel = "io.kubernetes.pod.uid";
inline constexpr const char* kContainerNameLabel = "io.kubernetes.container.name";

std::string uid_of(const json::Value& pod);
std::string namespace_of(const json::Value& pod);
std::string name_of(const json::Value& pod);
std::string key_of(const json::Value& pod);  // "namespace/name"

bool is_static(const json::Value& pod);    // read from a manifest file of this node
bool is_mirror(const json::Value& pod);    // the API's picture of a static pod
bool is_terminal(const json::Value& pod);  // status.phase Succeeded or Failed
bool is_deleted(const json::Value& pod);   // metadata.deletionTimestamp is set
bool uses_host_network(const json::Value& pod);
std::int64_t grace_seconds(const json::Value& pod);  // deletion's, else the spec's, else 30

struct ContainerRef {
  enum Kind { kInit, kSidecar, kRegular, kEphemeral } kind = kRegular;  // kSidecar: an init container that stays
  const json::Value* spec = nullptr;                                    // lives as long as the pod
  std::string name;
  bool long_lived() const { return kind == kSidecar || kind == kRegular; }
};
// In the order of the spec: init containers and sidecars, then regular, then ephemeral ones.
std::vector<ContainerRef> containers_of(const json::Value& pod);
std::optional<ContainerRef> find_container(const json::Value& pod, std::string_view name);
// "spec.containers{web}", for events.
std::string field_path(const ContainerRef& container);

enum class RestartPolicy { kAlways, kOnFailure, kNever };
RestartPolicy restart_policy(const json::Value& pod);
// What holds for this container: sidecars always restart, init containers of an Always pod restart on failure.
RestartPolicy restart_policy(const json::Value& pod, const ContainerRef& container);

// Which version of a container runs: changes when its name or image do, since only those may change in place.
std::string container_hash(const json::Value& container);
std::string hex_hash(std::string_view bytes);  // 64-bit FNV-1a as 16 hexadecimal digits

}  // namespace lab::agent
