#include "orchestrator/agent/container_config.h"

#include <algorithm>
#include <set>

#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/security.h"

namespace lab::agent {

namespace {

StartError config_error(std::string message) {
  return {"CreateContainerConfigError", std::move(message)};
}

int protocol_number(std::string_view p) {
  return p == "UDP" ? 1 : p == "SCTP" ? 2 : 0;
}

int propagation_number(std::string_view p) {
  return p == "HostToContainer" ? 1 : p == "Bidirectional" ? 2 : 0;
}

cri::Labels pod_labels(const json::Value& pod) {
  cri::Labels out;
  for (const auto& [k, v] : json::map(pod, "metadata", "labels")) out[std::string(k)] = std::string(json::as_str(v));
  out[kPodNameLabel] = name_of(pod);
  out[kPodNamespaceLabel] = namespace_of(pod);
  out[kPodUidLabel] = uid_of(pod);
  return out;
}

void expand_all(const json::Array& list, const Variables& env, std::vector<std::string>& out) {
  auto lookup = [&](std::string_view name) -> const std::string* {
    for (const auto& [k, v] : env)
      if (k == name) return &v;
    return nullptr;
  };
  for (const auto& word : list) out.push_back(expand(json::as_str(word), lookup));
}

StartResult<void> add_volume_mounts(const ContainerInputs& in, MadeConfig& out) {
  for (const auto& m : json::list(*in.container.spec, "volumeMounts")) {
    std::string name(json::str(m, "name"));
    auto volume = in.volumes.find(name);
    if (volume == in.volumes.end())
      return std::unexpected(
          config_error("cannot find volume \"" + name + "\" to mount into container \"" + in.container.name + "\""));
    cri::Mount mount;
    mount.container_path = std::string(json::str(m, "mountPath"));
    if (!mount.container_path.starts_with("/")) mount.container_path = "/" + mount.container_path;
    mount.host_path = volume->second;
    mount.readonly = json::flag(m, "readOnly");
    mount.propagation = propagation_number(json::str(m, "mountPropagation"));
    std::string sub(json::str(m, "subPath"));
    if (auto text = json::str(m, "subPathExpr"); !text.empty()) {
      bool missing = false;
      sub = expand(text, [&](std::string_view n) -> const std::string* {
        for (const auto& [k, v] : in.environment)
          if (k == n) return &v;
        missing = true;
        return nullptr;
      });
      if (missing) return std::unexpected(config_error("missing value for subPathExpr " + std::string(text)));
    }
    if (sub.starts_with("/") || sub == ".." || sub.starts_with("../") || sub.find("/../") != sub.npos ||
        sub.ends_with("/.."))
      return std::unexpected(config_error("subPath " + sub + " must be a relative path without '..'"));
    if (!sub.empty()) out.sub_paths.push_back({out.config.mounts.size(), volume->second, sub});
    out.config.mounts.push_back(std::move(mount));
  }
  return {};
}

bool mounts_at(const cri::ContainerConfig& c, std::string_view path) {
  return std::ranges::any_of(c.mounts, [&](const auto& m) { return m.container_path == path; });
}

}  // namespace

std::string pod_log_directory(const AgentOptions& o, const json::Value& pod) {
  return o.pod_log_dir + "/" + namespace_of(pod) + "_" + name_of(pod) + "_" + uid_of(pod);
}

cri::SandboxConfig make_sandbox_config(const json::Value& pod, const AgentOptions& options, std::uint32_t attempt,
                                       std::string cgroup_parent, std::string_view host_resolv_conf) {
  cri::SandboxConfig out;
  out.metadata = {name_of(pod), uid_of(pod), namespace_of(pod), attempt};
  if (!uses_host_network(pod)) out.hostname = pod_hostname(pod, options);
  out.log_directory = pod_log_directory(options, pod);
  out.cgroup_parent = std::move(cgroup_parent);
  out.dns = pod_dns(pod, options, host_resolv_conf);
  out.labels = pod_labels(pod);
  for (const auto& [k, v] : json::map(pod, "metadata", "annotations"))
    out.annotations[std::string(k)] = std::string(json::as_str(v));
  for (const auto& s : json::list(pod, "spec", "securityContext", "sysctls"))
    out.sysctls[std::string(json::str(s, "name"))] = std::string(json::str(s, "value"));
  if (!uses_host_network(pod))
    for (const auto& c : containers_of(pod))
      for (const auto& p : json::list(*c.spec, "ports")) {
        int host = static_cast<int>(json::num(p, "hostPort"));
        if (host == 0 || c.kind == ContainerRef::kInit) continue;
        out.port_mappings.push_back({protocol_number(json::str(p, "protocol")),
                                     static_cast<int>(json::num(p, "containerPort")), host,
                                     std::string(json::str(p, "hostIP"))});
      }
  out.security = sandbox_security(pod, options);
  return out;
}

StartResult<MadeConfig> make_container_config(const ContainerInputs& in) {
  const json::Value& c = *in.container.spec;
  MadeConfig made;
  cri::ContainerConfig& out = made.config;
  out.name = in.container.name;
  out.attempt = in.attempt;
  out.image = in.image.id;
  expand_all(json::list(c, "command"), in.environment, out.command);
  expand_all(json::list(c, "args"), in.environment, out.args);
  out.working_dir = std::string(json::str(c, "workingDir"));
  for (const auto& [k, v] : in.environment) out.envs.emplace_back(k, v);
  if (auto ok = add_volume_mounts(in, made); !ok) return std::unexpected(ok.error());
  if (!in.etc_hosts_path.empty() && !mounts_at(out, "/etc/hosts"))
    out.mounts.push_back({"/etc/hosts", in.etc_hosts_path});
  std::string message_path(json::str(c, "terminationMessagePath"));
  if (message_path.empty()) message_path = "/dev/termination-log";
  if (!in.termination_log_path.empty() && !mounts_at(out, message_path))
    out.mounts.push_back({message_path, in.termination_log_path});
  out.labels = {{kPodNameLabel, name_of(in.pod)},
                {kPodNamespaceLabel, namespace_of(in.pod)},
                {kPodUidLabel, uid_of(in.pod)},
                {kContainerNameLabel, in.container.name}};
  std::string policy(json::str(c, "terminationMessagePolicy"));
  out.annotations = {{"io.kubernetes.container.hash", container_hash(c)},
                     {"io.kubernetes.container.restartCount", std::to_string(in.attempt)},
                     {"io.kubernetes.container.terminationMessagePath", message_path},
                     {"io.kubernetes.container.terminationMessagePolicy", policy.empty() ? "File" : policy},
                     {"io.kubernetes.pod.terminationGracePeriod", std::to_string(grace_seconds(in.pod))}};
  out.log_path = in.container.name + "/" + std::to_string(in.attempt) + ".log";
  out.stdin_open = json::flag(c, "stdin");
  out.stdin_once = json::flag(c, "stdinOnce");
  out.tty = json::flag(c, "tty");
  out.resources = container_resources(in.pod, c, in.memory_capacity);
  auto security = container_security(in);
  if (!security) return std::unexpected(security.error());
  out.security = std::move(*security);
  return made;
}

}  // namespace lab::agent
