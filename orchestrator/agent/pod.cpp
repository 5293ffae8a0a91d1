#include "orchestrator/agent/pod.h"

#include <cstdio>

namespace lab::agent {

std::string uid_of(const json::Value& pod) {
  return std::string(json::str(pod, "metadata", "uid"));
}
std::string namespace_of(const json::Value& pod) {
  return std::string(json::str(pod, "metadata", "namespace"));
}
std::string name_of(const json::Value& pod) {
  return std::string(json::str(pod, "metadata", "name"));
}
std::string key_of(const json::Value& pod) {
  return namespace_of(pod) + "/" + name_of(pod);
}

bool is_static(const json::Value& pod) {
  auto source = json::str(pod, "metadata", "annotations", kSourceAnnotation);
  return !source.empty() && source != "api" && !is_mirror(pod);
}
bool is_mirror(const json::Value& pod) {
  return json::has(pod, "metadata", "annotations", kMirrorAnnotation);
}
bool is_terminal(const json::Value& pod) {
  auto phase = json::str(pod, "status", "phase");
  return phase == "Succeeded" || phase == "Failed";
}
bool is_deleted(const json::Value& pod) {
  return json::has(pod, "metadata", "deletionTimestamp");
}
bool uses_host_network(const json::Value& pod) {
  return json::flag(pod, "spec", "hostNetwork");
}

std::int64_t grace_seconds(const json::Value& pod) {
  if (json::has(pod, "metadata", "deletionGracePeriodSeconds"))
    return json::num(pod, "metadata", "deletionGracePeriodSeconds");
  return json::as_int(json::at(pod, "spec", "terminationGracePeriodSeconds"), 30);
}

std::vector<ContainerRef> containers_of(const json::Value& pod) {
  std::vector<ContainerRef> out;
  auto add = [&](const json::Array& list, ContainerRef::Kind kind) {
    for (const auto& c : list) out.push_back({kind, &c, std::string(json::str(c, "name"))});
  };
  for (const auto& c : json::list(pod, "spec", "initContainers")) {
    bool stays = json::str(c, "restartPolicy") == "Always";
    out.push_back({stays ? ContainerRef::kSidecar : ContainerRef::kInit, &c, std::string(json::str(c, "name"))});
  }
  add(json::list(pod, "spec", "containers"), ContainerRef::kRegular);
  add(json::list(pod, "spec", "ephemeralContainers"), ContainerRef::kEphemeral);
  return out;
}

std::optional<ContainerRef> find_container(const json::Value& pod, std::string_view name) {
  for (auto& c : containers_of(pod))
    if (c.name == name) return c;
  return std::nullopt;
}

std::string field_path(const ContainerRef& c) {
  const char* list = c.kind == ContainerRef::kRegular     ? "spec.containers{"
                     : c.kind == ContainerRef::kEphemeral ? "spec.ephemeralContainers{"
                                                          : "spec.initContainers{";
  return list + c.name + "}";
}

RestartPolicy restart_policy(const json::Value& pod) {
  auto text = json::str(pod, "spec", "restartPolicy");
  if (text == "Never") return RestartPolicy::kNever;
  if (text == "OnFailure") return RestartPolicy::kOnFailure;
  return RestartPolicy::kAlways;
}

RestartPolicy restart_policy(const json::Value& pod, const ContainerRef& c) {
  if (c.kind == ContainerRef::kSidecar) return RestartPolicy::kAlways;
  if (c.kind == ContainerRef::kEphemeral) return RestartPolicy::kNever;
  auto policy = restart_policy(pod);
  if (c.kind == ContainerRef::kInit && policy == RestartPolicy::kAlways) return RestartPolicy::kOnFailure;
  return policy;
}

std::string hex_hash(std::string_view bytes) {
  std::uint64_t h = 14695981039346656037ULL;
  for (unsigned char c : bytes) h = (h ^ c) * 1099511628211ULL;
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(h));
  return out;
}

std::string container_hash(const json::Value& c) {
  return hex_hash(std::string(json::str(c, "name")) + '\0' + std::string(json::str(c, "image"))).substr(8);
}

}  // namespace lab::agent
