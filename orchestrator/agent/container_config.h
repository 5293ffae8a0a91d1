// What the runtime is told about a pod's sandbox and containers. Pure functions; any thread.
#pragma once

#include <expected>
#include <map>
#include <string>

#include "orchestrator/agent/cri.h"
#include "orchestrator/agent/env.h"
#include "orchestrator/agent/options.h"

namespace lab::agent {

// Why a container does not run: what its waiting state says.
struct StartError {
  std::string reason;  // CreateContainerConfigError, ErrImagePull, RunContainerError...
  std::string message;
};
template <class T = void>
using StartResult = std::expected<T, StartError>;

// The name inside the pod, and the resolver's configuration after dnsPolicy and dnsConfig.
std::string pod_hostname(const json::Value& pod, const AgentOptions& options);
cri::DnsConfig pod_dns(const json::Value& pod, const AgentOptions& options, std::string_view host_resolv_conf);
std::string pod_etc_hosts(const json::Value& pod, const AgentOptions& options, const std::vector<std::string>& pod_ips,
                          std::string_view host_hosts_file);

std::string pod_log_directory(const AgentOptions& options, const json::Value& pod);

cri::SandboxConfig make_sandbox_config(const json::Value& pod, const AgentOptions& options, std::uint32_t attempt,
                                       std::string cgroup_parent, std::string_view host_resolv_conf);

struct ContainerInputs {
  const json::Value& pod;
  const ContainerRef& container;
  const AgentOptions& options;
  std::uint32_t attempt = 0;
  cri::Image image;
  Variables environment;
  std::map<std::string, std::string> volumes;  // name -> path on the node
  std::string etc_hosts_path;                  // empty: none is mounted
  std::string termination_log_path;            // on the node; empty: none
  std::string target_container_id;             // of an ephemeral container
  std::int64_t memory_capacity = 0;
};
// A mount with a subPath is given as PATH|SUB with the volume's path: prepare_mounts() of the caller binds it.
struct SubPathMount {
  std::size_t index;        // in config.mounts
  std::string volume, sub;  // volume's path on the node; path below it
};
struct MadeConfig {
  cri::ContainerConfig config;
  std::vector<SubPathMount> sub_paths;
};
StartResult<MadeConfig> make_container_config(const ContainerInputs& in);

}  // namespace lab::agent
